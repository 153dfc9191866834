/** WebSockets and server-sent events of functions in pods, through every router. */
import { beforeAll, describe, expect, test } from 'vitest';
import { NODE_STREAMS, PYTHON_STREAMS, readEvents } from '../../integration/support/stream-functions.ts';
import { openSocket, refusalOf } from '../../integration/support/web-socket.ts';
import { deployWasm, pathOf, routerUrl } from '../support/functions.ts';
import { images, INSTALLED_IN, installFissium } from '../support/install.ts';
import { apply, kubectl, list } from '../support/kubectl.ts';
import { newNamespace } from '../support/namespace.ts';
import { condition, eventually, rolledOut } from '../support/wait.ts';

beforeAll(installFissium);

const SLOW_MS = 180_000;

const LANGUAGES = {
  python: { image: images.python, code: PYTHON_STREAMS },
  node: { image: images.node, code: NODE_STREAMS },
} as const;
type Language = keyof typeof LANGUAGES;

interface Deployed {
  readonly namespace: string;
  readonly name: string;
  readonly url: string;
}

function packageOf(namespace: string, name: string, language: Language, code: string): object {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { namespace, name },
    spec: {
      environment: { name: language, namespace },
      deployment: { type: 'literal', literal: Buffer.from(code).toString('base64') },
    },
  };
}

async function deploy(
  namespace: string,
  language: Language,
  kind: 'socket' | 'events',
  spec: object = {},
): Promise<Deployed> {
  const { image, code } = LANGUAGES[language];
  const name = `${language}-${kind}`;
  const environment = { name: language, namespace };
  await apply([
    {
      apiVersion: 'fission.io/v1',
      kind: 'Environment',
      metadata: environment,
      spec: { version: 3, runtime: { image }, poolsize: 2, terminationGracePeriod: 20 },
    },
    packageOf(namespace, name, language, code),
    {
      apiVersion: 'fission.io/v1',
      kind: 'Function',
      metadata: { namespace, name },
      spec: {
        environment,
        package: { packageref: { name, namespace }, functionName: `main.${kind}` },
        requestsPerPod: 8,
        ...spec,
      },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'HTTPTrigger',
      metadata: { namespace, name },
      spec: { relativeurl: pathOf(namespace, name), methods: ['GET'], functionref: { type: 'name', name } },
    },
  ]);
  await condition('function', name, namespace, { type: 'Ready', status: 'True' });
  const url = `${await routerUrl()}${pathOf(namespace, name)}`;
  await eventually('a route', async () => (await fetch(url, { method: 'POST' })).status !== 404);
  return { namespace, name, url };
}

async function podsOf({ namespace, name }: Deployed): Promise<string[]> {
  const pods = await list('pods', namespace, `functionName=${name}`);
  return pods
    .filter(({ metadata }) => metadata['deletionTimestamp'] === undefined)
    .map(({ metadata }) => metadata.name);
}

describe.each(['python', 'node'] as const)('a %s function', (language) => {
  test(
    'has WebSockets through every router, in one pod, from its first call on',
    async () => {
      const fn = await deploy(await newNamespace(), language, 'socket');
      // The Service spreads connections over the routers, of which one has the function's pods.
      const sockets = await Promise.all(Array.from({ length: 6 }, () => openSocket(fn.url)));
      for (const [at, { socket, next }] of sockets.entries()) {
        socket.send(`message ${at}`);
        expect(await next()).toBe(`echo message ${at}`);
      }
      expect(await podsOf(fn)).toHaveLength(1);
      for (const { socket, closed } of sockets) {
        socket.close(1000);
        expect(await closed).toEqual({ code: 1000, wasClean: true });
      }
    },
    SLOW_MS,
  );

  test(
    'sends each event when it makes it, and hears when its client goes',
    async () => {
      const fn = await deploy(await newNamespace(), language, 'events');
      const controller = new AbortController();
      const answer = await fetch(fn.url, { signal: controller.signal });
      expect(answer.headers.get('content-type')).toContain('text/event-stream');
      await readEvents(answer, fn.url);
      controller.abort();
      const [pod = ''] = await podsOf(fn);
      await eventually('the function hears of it', async () =>
        (await kubectl('logs', '-n', fn.namespace, pod, '-c', language)).includes('the client went'),
      );
    },
    SLOW_MS,
  );
});

test(
  'a pod with an open WebSocket is not idle, and is when it is closed',
  async () => {
    const namespace = await newNamespace();
    const idletimeout = 5;
    const open = await deploy(namespace, 'node', 'socket', { idletimeout });
    const other = await deploy(namespace, 'node', 'events', { idletimeout });
    const { socket, next, closed } = await openSocket(open.url);
    const [pod = ''] = await podsOf(open);
    expect((await fetch(`${other.url}?next`)).status).toBe(200);
    // Called later than the other, it would have been ended by now if it counted as idle.
    await eventually('the idle one is gone', async () => (await podsOf(other)).length === 0, SLOW_MS);
    expect(await podsOf(open)).toEqual([pod]);
    socket.send('still here');
    expect(await next()).toBe('echo still here');
    socket.close(1000);
    expect((await closed).code).toBe(1000);
    await eventually('it is gone as well', async () => (await podsOf(open)).length === 0, SLOW_MS);
  },
  SLOW_MS,
);

test(
  'WebSockets are told to go elsewhere by a new version, which has them then',
  async () => {
    const fn = await deploy(await newNamespace(), 'node', 'socket');
    const before = await openSocket(fn.url);
    before.socket.send('one');
    expect(await before.next()).toBe('echo one');
    const changed = NODE_STREAMS.replace("'echo '", "'new '");
    await apply([packageOf(fn.namespace, fn.name, 'node', changed)]);
    // A function follows its package when it names the new one; touching it does.
    await kubectl('annotate', 'function', fn.name, '-n', fn.namespace, 'touched=yes');
    expect(await before.closed).toEqual({ code: 1001, wasClean: true });
    const after = await openSocket(fn.url);
    after.socket.send('two');
    expect(await after.next()).toBe('new two');
  },
  SLOW_MS,
);

test(
  'WebSockets are told to go elsewhere by routers that are replaced',
  async () => {
    const fn = await deploy(await newNamespace(), 'python', 'socket');
    const sockets = await Promise.all(Array.from({ length: 4 }, () => openSocket(fn.url)));
    await kubectl('rollout', 'restart', 'deployment/router', '-n', INSTALLED_IN);
    for (const { closed } of sockets) expect(await closed).toEqual({ code: 1001, wasClean: true });
    await rolledOut('router', INSTALLED_IN, 120_000);
    const again = await openSocket(fn.url);
    again.socket.send('again');
    expect(await again.next()).toBe('echo again');
  },
  SLOW_MS,
);

test('a Wasm function answers a WebSocket with 501', async () => {
  const namespace = await newNamespace();
  const url = await deployWasm({ name: 'hello', namespace });
  const { status, body } = await refusalOf(url);
  expect(status).toBe(501);
  expect(body).toContain('UPGRADE_NOT_SERVED');
  expect((await fetch(url)).status).toBe(200);
});
