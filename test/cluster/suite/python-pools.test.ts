/** Python functions in pools of generic pods: first calls, bursts, updates under load, idling, code that does not load. */
import { beforeAll, expect, test } from 'vitest';
import { pathOf, routerUrl } from '../support/functions.ts';
import { images, installFissium } from '../support/install.ts';
import { type AnyObject, apply, kubectl, list } from '../support/kubectl.ts';
import { startLoad } from '../support/load.ts';
import { newNamespace } from '../support/namespace.ts';
import { condition, eventually } from '../support/wait.ts';

beforeAll(installFissium);

const SLOW_MS = 180_000;

function environment(namespace: string, spec: object = {}): object {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Environment',
    metadata: { name: 'python', namespace },
    spec: { version: 3, runtime: { image: images.python }, poolsize: 3, terminationGracePeriod: 20, ...spec },
  };
}

function packageOf(namespace: string, name: string, code: string): object {
  const literal = Buffer.from(code).toString('base64');
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { namespace, name },
    spec: { environment: { name: 'python', namespace }, deployment: { type: 'literal', literal } },
  };
}

function functionOf(namespace: string, name: string, code: string, spec: object = {}): object[] {
  return [
    packageOf(namespace, name, code),
    {
      apiVersion: 'fission.io/v1',
      kind: 'Function',
      metadata: { namespace, name },
      spec: {
        environment: { name: 'python', namespace },
        package: { packageref: { name, namespace } },
        ...spec,
      },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'HTTPTrigger',
      metadata: { namespace, name },
      spec: { relativeurl: pathOf(namespace, name), methods: ['GET'], functionref: { type: 'name', name } },
    },
  ];
}

interface Deployed {
  readonly namespace: string;
  readonly url: string;
}

async function deployed(code: string, spec: object = {}, environmentSpec: object = {}): Promise<Deployed> {
  const namespace = await newNamespace();
  await apply([environment(namespace, environmentSpec), ...functionOf(namespace, 'hello', code, spec)]);
  await condition('function', 'hello', namespace, { type: 'Ready', status: 'True' });
  const url = `${await routerUrl()}${pathOf(namespace, 'hello')}`;
  await eventually('a route', async () => {
    const { status } = await fetch(url, { method: 'POST' });
    return status !== 404;
  });
  return { namespace, url };
}

/** Pods that serve a function, and those that did a moment ago. */
async function taken(namespace: string): Promise<readonly AnyObject[]> {
  const pods = await list('pods', namespace);
  return pods.filter(
    ({ metadata }) =>
      metadata.labels?.['functionName'] === 'hello' && metadata['deletionTimestamp'] === undefined,
  );
}

async function text(url: string): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(60_000) });
  return `${answer.status} ${await answer.text()}`;
}

test('the first call takes a pod of the pool, which is made whole again', { timeout: SLOW_MS }, async () => {
  const { namespace, url } = await deployed('def main():\n    return "hello from python"\n');
  expect(await taken(namespace)).toEqual([]);
  expect(await text(url)).toBe('200 hello from python');
  const [pod, ...others] = await taken(namespace);
  expect(others).toEqual([]);
  expect(pod?.metadata).toMatchObject({
    labels: { functionName: 'hello', environmentName: 'python', executorType: 'poolmgr' },
    annotations: { 'fissium.io/endpoint': 'ready' },
    ownerReferences: [{ kind: 'Environment', name: 'python' }],
  });
  await eventually('the pool is whole', async () => {
    const ready = await kubectl(
      'get',
      'deploy',
      '-n',
      namespace,
      '-o',
      'jsonpath={.items[*].status.readyReplicas}',
    );
    return ready === '3';
  });
});

test.each([
  [1, 10],
  [5, 2],
])('ten calls at once, of %i a pod, take %i pods', { timeout: SLOW_MS }, async (requestsPerPod, pods) => {
  const code = 'import socket, time\ndef main():\n    time.sleep(3)\n    return socket.gethostname()\n';
  const { namespace, url } = await deployed(code, { requestsPerPod });
  const answers = await Promise.all(Array.from({ length: 10 }, () => text(url)));
  expect(answers.map((answer) => answer.slice(0, 4))).toEqual(Array.from({ length: 10 }, () => '200 '));
  const names = new Set(answers);
  expect(names.size).toBeLessThanOrEqual(pods);
  expect((await taken(namespace)).length).toBeLessThanOrEqual(pods);
});

test('an update under load fails no request', { timeout: SLOW_MS }, async () => {
  const { namespace, url } = await deployed('def main():\n    return "one"\n', { requestsPerPod: 4 });
  expect(await text(url)).toBe('200 one');
  const load = startLoad(url, 4, 20);
  await eventually('calls are answered', () => Promise.resolve(load.answered > 20));
  await apply([packageOf(namespace, 'hello', 'def main():\n    return "two"\n')]);
  await eventually('only the new version answers', async () => {
    const answers = await Promise.all([text(url), text(url), text(url), text(url)]);
    return answers.every((answer) => answer === '200 two');
  });
  await eventually('the old pods are gone', async () => {
    const versions = (await taken(namespace)).map(
      ({ metadata }) => metadata.annotations?.['fissium.io/version'],
    );
    return new Set(versions).size === 1;
  });
  const { answered, failures } = await load.stop();
  expect(failures).toEqual({});
  expect(answered).toBeGreaterThan(50);
});

test(
  'a pod that nobody calls goes after the idle time, and the next call takes another',
  { timeout: SLOW_MS },
  async () => {
    const { namespace, url } = await deployed('def main():\n    return "here"\n', { idletimeout: 5 });
    expect(await text(url)).toBe('200 here');
    expect(await taken(namespace)).toHaveLength(1);
    await eventually('it is gone', async () => (await taken(namespace)).length === 0);
    expect(await text(url)).toBe('200 here');
  },
);

test('code that does not load says so, with its trace', { timeout: SLOW_MS }, async () => {
  const { namespace, url } = await deployed('import nothing_of_that_name\ndef main():\n    return ""\n');
  const call = text(url).catch(String);
  await condition('function', 'hello', namespace, {
    type: 'Ready',
    status: 'False',
    reason: 'SpecialiseFailed',
  });
  const events = await kubectl(
    'get',
    'events',
    '-n',
    namespace,
    '--field-selector',
    'involvedObject.kind=Function',
  );
  expect(events).toMatch(/SpecialiseFailed.*nothing_of_that_name/);
  expect(await call).toMatch(/^50\d .*nothing_of_that_name/s);
});

test('an image that does not exist is named', { timeout: SLOW_MS }, async () => {
  const namespace = await newNamespace();
  const runtime = { image: 'localhost/no-such-runtime:1' };
  await apply([
    environment(namespace, { runtime }),
    ...functionOf(namespace, 'hello', 'def main():\n    return ""\n'),
  ]);
  const { message } = await condition('function', 'hello', namespace, {
    type: 'Ready',
    status: 'False',
    reason: 'ImagePullFailed',
  });
  expect(message).toMatch(/no-such-runtime/);
});

test('resources of a function are those of its pod', { timeout: SLOW_MS }, async () => {
  const { namespace, url } = await deployed('def main():\n    return "small"\n', {
    resources: { requests: { cpu: '20m', memory: '48Mi' }, limits: { memory: '200Mi' } },
  });
  expect(await text(url)).toBe('200 small');
  await eventually('a pod with the resources serves it', async () => {
    const pods = await taken(namespace);
    return pods.some((pod) => JSON.stringify(pod.spec).includes('"memory":"200Mi"') && isServing(pod));
  });
});

function isServing({ metadata }: AnyObject): boolean {
  return metadata.annotations?.['fissium.io/endpoint'] === 'ready';
}
