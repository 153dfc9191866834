/** Fission's internal authentication between the parts, from the chart's value `internalAuthSecret`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hostCallSigners } from '../../../src/auth/host-calls.ts';
import { digestOf, requestSigner } from '../../../src/auth/request-signer.ts';
import { guest } from '../../integration/support/guests.ts';
import { applyChart } from '../support/chart.ts';
import { fissium, tryFissium } from '../support/cli.ts';
import { ownCluster } from '../support/components.ts';
import { deployWasm, pathOf, routerUrl } from '../support/functions.ts';
import { controlPlaneReady, images, INSTALLED_IN, installFissium } from '../support/install.ts';
import { apply, kubectl, list, outcomeOf } from '../support/kubectl.ts';
import { startLoad } from '../support/load.ts';
import { newNamespace } from '../support/namespace.ts';
import { serviceUrl } from '../support/reach.ts';
import { condition, eventually, rolledOut } from '../support/wait.ts';

const SECRET = 'of this installation';
/** The name under which the CLI looks for it. */
const SECRET_NAME = 'fission-internal-auth';

let folder: string;

beforeAll(async () => {
  await installFissium();
  folder = await mkdtemp(join(tmpdir(), 'fissium-signed-'));
  await setSecret({ secret: SECRET });
  await applyChart(`internalAuthSecret=${SECRET_NAME}`);
});
// The other files of the suite have it as `fissium install` makes it.
afterAll(async () => {
  await applyChart();
  await kubectl('delete', 'secret', SECRET_NAME, '-n', INSTALLED_IN);
  await rm(folder, { recursive: true, force: true });
});

/** A zip with a guest that is longer than what a Package holds itself. */
async function archive(name: string): Promise<string> {
  const zip = join(folder, `${name}.zip`);
  const padding = join(folder, `${name}.bin`);
  await writeFile(padding, randomBytes(400_000));
  const zipped = await outcomeOf('python3', ['-m', 'zipfile', '-c', zip, guest('hello'), padding]);
  if (zipped.code !== 0) throw new Error(zipped.stderr);
  return zip;
}

async function setSecret(stringData: Readonly<Record<string, string>>): Promise<void> {
  await kubectl('delete', 'secret', SECRET_NAME, '-n', INSTALLED_IN, '--ignore-not-found');
  await apply([
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: SECRET_NAME, namespace: INSTALLED_IN },
      stringData,
    },
  ]);
}

/** Which keys the hosts of a namespace are to have, as a mark. */
async function keysOfHosts(namespace: string): Promise<string> {
  const path = `jsonpath={.spec.template.spec.containers[0].env[?(@.name=="FISSIUM_KEYS")].value}`;
  return kubectl('get', 'deployment', 'wasm-wasm', '-n', namespace, '-o', path);
}

/** Pods read the secret at their start. */
async function restarted(): Promise<void> {
  const parts = ['executor', 'router', 'storagesvc'].map((name) => `deployment/${name}`);
  await kubectl('rollout', 'restart', ...parts, '-n', INSTALLED_IN);
  await controlPlaneReady();
}

const asked = async (url: string, init: RequestInit = {}): Promise<number> => (await fetch(url, init)).status;

test('nobody gets at functions by name, loads, demands or archives without a signature', async () => {
  const internal = await serviceUrl(INSTALLED_IN, 'router-internal', 80);
  const storage = await serviceUrl(INSTALLED_IN, 'storagesvc', 80);
  for (const url of [`${internal}/fission-function/x`, `${internal}/v1/loads`, `${storage}/v1/archive`]) {
    expect([url, await asked(url)]).toEqual([url, 401]);
  }
  for (const path of ['/readyz', '/metrics', '/_version']) expect(await asked(internal + path)).toBe(200);
  const signed = requestSigner('router-internal', SECRET)('GET', '/v1/loads');
  expect(await asked(`${internal}/v1/loads`, { headers: signed })).toBe(200);
});

test.skipIf(ownCluster === undefined)(
  'nor at the ports of controllers and routers for each other',
  async () => {
    const addresses = async (part: string): Promise<string[]> =>
      (await list('pods', INSTALLED_IN, `svc=${part}`))
        // Those from before the secret are still ending.
        .filter(({ metadata }) => metadata['deletionTimestamp'] === undefined)
        .map(({ status }) => (status as { podIP?: string }).podIP ?? '');
    const body = JSON.stringify({ functions: [] });
    for (const address of await addresses('executor')) {
      const url = `http://${address}:8080/v1/demand`;
      expect(await asked(url, { method: 'POST', body })).toBe(401);
      const headers = requestSigner('executor', SECRET)('POST', '/v1/demand', digestOf(body));
      // 409: another one leads.
      expect([202, 409]).toContain(await asked(url, { method: 'POST', body, headers }));
    }
    for (const address of await addresses('router')) {
      expect(await asked(`http://${address}:8890/fission-function/default/x`)).toBe(500);
    }
  },
);

test.skipIf(ownCluster === undefined)('nor at the ports of Wasm hosts, whatever reaches them', async () => {
  const namespace = await newNamespace();
  const url = await deployWasm({ name: 'hello', namespace });
  const [host] = await list('pods', namespace, 'fissium.io/part=wasm-host');
  const address = (host?.status as { podIP?: string } | undefined)?.podIP ?? '';
  // From here the network's policies are no hindrance.
  const path = `/fission-function/${namespace}/hello`;
  for (const at of [`http://${address}:8888`, `http://${address}:8889`]) {
    expect(await asked(at + path)).toBe(500);
    const signer = hostCallSigners({ current: SECRET, previous: null });
    expect(await asked(at + path, { headers: signer('another')?.() ?? {} })).toBe(500);
    expect(await asked(at + path, { headers: signer(namespace)?.() ?? {} })).toBe(200);
  }
  expect(await asked(`http://${address}:8889/v1/deployed`)).toBe(500);
  expect(await asked(`http://${address}:8889/readyz`)).toBe(200);
  expect(await asked(url)).toBe(200);
});

test('a Wasm function from an archive is prepared, brought to its host and called, as the CLI signs', async () => {
  const namespace = await newNamespace();
  await fissium('environment', 'create', '--name', 'wasm', '--image', 'wasm', '-n', namespace);
  const zip = await archive('hello');
  await fissium('function', 'create', '--name', 'hello', '--env', 'wasm', '--deploy', zip, '-n', namespace);
  const url = `/${namespace}/hello`;
  await fissium('route', 'create', '--name', 'hello', '--function', 'hello', '--url', url, '-n', namespace);
  expect(await fissium('function', 'test', '--name', 'hello', '-n', namespace)).not.toBe('');
  expect(await asked(`${await routerUrl()}${url}`)).toBe(200);
  const wrong = await tryFissium(['function', 'test', '--name', 'hello', '-n', namespace], {
    FISSION_INTERNAL_AUTH_SECRET: 'of another one',
  });
  expect(wrong.code).not.toBe(0);
  expect(wrong.stderr).toContain('its signature does not fit');
});

test.each([
  ['poolmgr', {}],
  ['newdeploy', { MinScale: 0, MaxScale: 1 }],
])(
  'a Python function of %s starts from an archive at its first call, whichever router has it',
  async (type, scale) => {
    const namespace = await newNamespace();
    const code = join(folder, `${type}.py`);
    await writeFile(
      code,
      `# ${randomBytes(200_000).toString('hex')}\ndef main():\n    return 'hi from ${type}'\n`,
    );
    const environment = { name: 'python', namespace };
    await apply([
      {
        apiVersion: 'fission.io/v1',
        kind: 'Environment',
        metadata: environment,
        spec: { version: 3, runtime: { image: images.python }, poolsize: 1, terminationGracePeriod: 20 },
      },
    ]);
    const made = [
      'package',
      'create',
      '--name',
      'hello',
      '--env',
      'python',
      '--deploy',
      code,
      '-n',
      namespace,
    ];
    await fissium(...made);
    await apply([
      {
        apiVersion: 'fission.io/v1',
        kind: 'Function',
        metadata: { name: 'hello', namespace },
        spec: {
          environment,
          package: { packageref: { name: 'hello', namespace }, functionName: `${type}.main` },
          InvokeStrategy: {
            StrategyType: 'execution',
            ExecutionStrategy: { ExecutorType: type, ...scale },
          },
        },
      },
      {
        apiVersion: 'fission.io/v1',
        kind: 'HTTPTrigger',
        metadata: { name: 'hello', namespace },
        spec: {
          relativeurl: pathOf(namespace, 'hello'),
          methods: ['GET'],
          functionref: { type: 'name', name: 'hello' },
        },
      },
    ]);
    await condition('function', 'hello', namespace, { type: 'Ready', status: 'True' });
    const url = `${await routerUrl()}${pathOf(namespace, 'hello')}`;
    await eventually('a route', async () => (await asked(url, { method: 'POST' })) !== 404);
    // The Service spreads connections over the routers, of which one has the function's pods.
    for (let call = 0; call < 12; call++) {
      const answer = await fetch(url, { headers: { connection: 'close' } });
      expect([answer.status, await answer.text()]).toEqual([200, `hi from ${type}`]);
    }
  },
);

test('another secret takes the place of the first, while functions go on', async () => {
  const namespace = await newNamespace();
  await fissium('environment', 'create', '--name', 'wasm', '--image', 'wasm', '-n', namespace);
  // In the Package itself: archives of a storage service without a volume go with its pod.
  const code = ['--code', guest('hello'), '-n', namespace];
  await fissium('function', 'create', '--name', 'hello', '--env', 'wasm', ...code);
  const url = `/${namespace}/hello`;
  await fissium('route', 'create', '--name', 'hello', '--function', 'hello', '--url', url, '-n', namespace);
  const load = startLoad(`${await routerUrl()}${url}`, 2, 50);
  const next = 'of next year';
  await setSecret({ secret: next, oldSecret: SECRET });
  const before = await keysOfHosts(namespace);
  await restarted();
  // Its hosts are to know the next one before the first is gone.
  const between = await eventually('hosts with other keys', async () => {
    const now = await keysOfHosts(namespace);
    return now === before ? undefined : now;
  });
  await rolledOut('wasm-wasm', namespace);
  await setSecret({ secret: next });
  await restarted();
  await eventually('hosts without the old key', async () => (await keysOfHosts(namespace)) !== between);
  await rolledOut('wasm-wasm', namespace);
  // Only by the new keys can its hosts have this.
  const update = ['--deploy', await archive('update'), '-n', namespace];
  await fissium('function', 'update', '--name', 'hello', '--env', 'wasm', ...update);
  expect(await fissium('function', 'test', '--name', 'hello', '-n', namespace)).not.toBe('');
  const internal = await serviceUrl(INSTALLED_IN, 'router-internal', 80);
  const old = requestSigner('router-internal', SECRET)('GET', '/v1/loads');
  expect(await asked(`${internal}/v1/loads`, { headers: old })).toBe(401);
  const { failures } = await load.stop();
  expect(failures).toEqual({});
});
