/** Strategies `container` and `newdeploy`: functions with pods of their own, scaled by the controller and by HPAs. */
import { beforeAll, expect, test } from 'vitest';
import { deployWasm, pathOf, routerUrl, wasmFunction } from '../support/functions.ts';
import { images, installFissium } from '../support/install.ts';
import { apply, kubectl, list } from '../support/kubectl.ts';
import { type Load, type LoadResult, startLoad } from '../support/load.ts';
import { newNamespace } from '../support/namespace.ts';
import { condition, eventually, events } from '../support/wait.ts';

beforeAll(installFissium);

/** Says which version it is, after as many milliseconds as it is asked to wait. */
const SERVER = `require('node:http').createServer((q, s) => {
  const ms = Number(new URL(q.url, 'http://x').searchParams.get('ms'));
  setTimeout(() => s.end(process.env.VERSION), ms);
}).listen(8080);
process.on('SIGTERM', () => process.exit(0));`;

interface ContainerFunction {
  readonly namespace: string;
  readonly name?: string;
  readonly version?: string;
  /** Of `ExecutionStrategy`. */
  readonly scale: object;
  readonly spec?: object;
  readonly container?: object;
}

function strategy(type: 'container' | 'newdeploy', scale: object): object {
  return { StrategyType: 'execution', ExecutionStrategy: { ExecutorType: type, MaxScale: 1, ...scale } };
}

function containerFunction(options: ContainerFunction): object[] {
  const { namespace, name = 'web', version = 'v1', scale, spec = {}, container = {} } = options;
  const metadata = { name, namespace };
  return [
    {
      apiVersion: 'fission.io/v1',
      kind: 'Function',
      metadata,
      spec: {
        environment: {},
        InvokeStrategy: strategy('container', scale),
        podspec: {
          containers: [
            {
              name,
              image: images.node,
              command: ['node', '-e', SERVER],
              env: [{ name: 'VERSION', value: version }],
              ports: [{ containerPort: 8080 }],
              ...container,
            },
          ],
        },
        ...spec,
      },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'HTTPTrigger',
      metadata,
      spec: {
        relativeurl: pathOf(namespace, name),
        methods: ['GET'],
        functionref: { type: 'name', name },
      },
    },
  ];
}

async function deployContainer(options: ContainerFunction): Promise<string> {
  const { namespace, name = 'web' } = options;
  await apply(containerFunction(options));
  await condition('function', name, namespace, { type: 'Ready', status: 'True' });
  const url = `${await routerUrl()}${pathOf(namespace, name)}`;
  await eventually(`a route at ${url}`, async () => (await fetch(url)).status !== 404);
  return url;
}

async function replicas(namespace: string): Promise<number> {
  const [deployment] = await list('deployments', namespace, 'fissium.io/part=function');
  return (deployment?.spec as { replicas?: number } | undefined)?.replicas ?? -1;
}

const text = async (url: string): Promise<string> => (await fetch(url)).text();

/** Under load while `change` is made, until `isDone`. */
async function underLoad(
  url: string,
  change: () => Promise<unknown>,
  isDone: () => Promise<boolean>,
): Promise<LoadResult> {
  const load: Load = startLoad(url, 6, 5);
  await eventually('the first answers', async () => load.answered > 50);
  await change();
  await eventually('the change', isDone);
  return load.stop();
}

/** Until no pod of the version before is left. */
async function isRolledOut(namespace: string, pods: number): Promise<boolean> {
  const found = await list('pods', namespace, 'fissium.io/part=function');
  const versions = new Set(found.map(({ metadata }) => JSON.stringify(metadata['annotations'] ?? {})));
  return found.length === pods && versions.size === 1;
}

test('a container without pods is started by a call, and goes when nobody calls', async () => {
  const namespace = await newNamespace();
  await apply(containerFunction({ namespace, scale: { MinScale: 0 }, spec: { idletimeout: 3 } }));
  const wanted = { type: 'Ready', status: 'True', reason: 'ScaledToZero' } as const;
  await condition('function', 'web', namespace, wanted);
  expect(await replicas(namespace)).toBe(0);
  const url = `${await routerUrl()}${pathOf(namespace, 'web')}`;
  // The route may come a moment later than the function.
  await eventually('an answer', async () => (await fetch(url)).status === 200);
  expect(await replicas(namespace)).toBe(1);
  await condition('function', 'web', namespace, { ...wanted, reason: 'Deployed' });
  await eventually('no pods', async () => (await replicas(namespace)) === 0);
  await condition('function', 'web', namespace, wanted);
  expect(await text(url)).toBe('v1');
  const said = await events(namespace);
  expect(said).toContain('ScaledUp');
  expect(said).toContain('ScaledToZero');
});

test('an HPA follows the calls in flight, up and down', { timeout: 300_000 }, async () => {
  const namespace = await newNamespace();
  const hpaBehavior = {
    scaleDown: {
      stabilizationWindowSeconds: 5,
      policies: [{ type: 'Pods', value: 10, periodSeconds: 15 }],
    },
  };
  const url = await deployContainer({
    namespace,
    scale: { MinScale: 1, MaxScale: 3, hpaBehavior },
    spec: { requestsPerPod: 4 },
  });
  const hpa = (): Promise<string> => kubectl('get', 'hpa', '-n', namespace, '--no-headers');
  await eventually('a value in the HPA', async () => /\s0\/4 \(avg\)/.test(await hpa()), 90_000);
  const load = startLoad(`${url}?ms=300`, 12, 0);
  await eventually('three pods', async () => (await replicas(namespace)) === 3, 90_000);
  const { failures } = await load.stop();
  await eventually('one pod', async () => (await replicas(namespace)) === 1, 120_000);
  expect(failures).toEqual({});
});

test('a new version of a container makes no call fail', async () => {
  const namespace = await newNamespace();
  const scale = { MinScale: 2, MaxScale: 2 };
  const url = await deployContainer({ namespace, scale });
  const { answered, failures } = await underLoad(
    url,
    () => apply(containerFunction({ namespace, scale, version: 'v2' })),
    async () => (await text(url)) === 'v2' && isRolledOut(namespace, 2),
  );
  expect(failures).toEqual({});
  expect(answered).toBeGreaterThan(100);
  expect(await text(url)).toBe('v2');
});

test('a Wasm function has hosts of its own, and a new version makes no call fail', async () => {
  const namespace = await newNamespace();
  const spec = { InvokeStrategy: strategy('newdeploy', { MinScale: 1 }) };
  const url = await deployWasm({ name: 'hello', namespace, spec });
  expect(await text(url)).toBe('Hello, world!\n');
  const pods = await list('pods', namespace, 'executorType=newdeploy,functionName=hello');
  expect(pods).toHaveLength(1);
  const changed = { ...spec, env: [{ name: 'A', value: '1' }] };
  const generation = (): Promise<string> =>
    kubectl('get', 'fn', 'hello', '-n', namespace, '-o', 'jsonpath={.status.observedGeneration}');
  const { failures } = await underLoad(
    url,
    async () => apply(await wasmFunction({ name: 'hello', namespace, spec: changed })),
    async () => (await generation()) === '2',
  );
  expect(failures).toEqual({});
});

/** The code of a Node function, as a package. */
function nodeFunction(namespace: string, says: string, scale: object): object[] {
  const code = `module.exports = async () => ({ status: 200, body: ${JSON.stringify(says)} });`;
  const environment = { name: 'node', namespace };
  const metadata = { name: 'code', namespace };
  return [
    {
      apiVersion: 'fission.io/v1',
      kind: 'Environment',
      metadata: environment,
      spec: { version: 3, runtime: { image: images.node }, terminationGracePeriod: 20 },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'Package',
      metadata,
      spec: {
        environment,
        deployment: { type: 'literal', literal: Buffer.from(code).toString('base64') },
      },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'Function',
      metadata,
      spec: {
        environment,
        package: { packageref: metadata },
        InvokeStrategy: strategy('newdeploy', scale),
      },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'HTTPTrigger',
      metadata,
      spec: {
        relativeurl: pathOf(namespace, 'code'),
        methods: ['GET'],
        functionref: { type: 'name', name: 'code' },
      },
    },
  ];
}

test('a function of a container environment is loaded at its start, and a new package makes no call fail', async () => {
  const namespace = await newNamespace();
  const scale = { MinScale: 1, MaxScale: 1 };
  await apply(nodeFunction(namespace, 'first', scale));
  await condition('function', 'code', namespace, { type: 'Ready', status: 'True', reason: 'Deployed' });
  const url = `${await routerUrl()}${pathOf(namespace, 'code')}`;
  await eventually('an answer', async () => (await text(url)) === 'first');
  const { failures, answered } = await underLoad(
    url,
    () => apply(nodeFunction(namespace, 'second', scale)),
    async () => (await text(url)) === 'second' && isRolledOut(namespace, 1),
  );
  expect(failures).toEqual({});
  expect(answered).toBeGreaterThan(50);
  expect(await text(url)).toBe('second');
});

test.each([
  ['ImagePullFailed', { image: 'localhost/no-such-image:1' }, 'localhost/no-such-image:1'],
  [
    'CrashLooping',
    { command: ['node', '-e', 'console.error("no database at db:5432"); process.exit(3)'] },
    'no database at db:5432',
  ],
])('says %s where the pods do not start, and why', async (reason, container, words) => {
  const namespace = await newNamespace();
  await apply(containerFunction({ namespace, scale: { MinScale: 1 }, container }));
  const { message = '' } = await condition('function', 'web', namespace, {
    type: 'Ready',
    status: 'False',
    reason,
  });
  expect(message).toContain(words);
});

test('says that a quota leaves no room, and follows when it does', async () => {
  const namespace = await newNamespace();
  await kubectl('create', 'quota', 'none', '--hard=pods=0', '-n', namespace);
  await apply(containerFunction({ namespace, scale: { MinScale: 1 } }));
  await condition('function', 'web', namespace, {
    type: 'Ready',
    status: 'False',
    reason: 'QuotaExceeded',
  });
  await kubectl('delete', 'quota', 'none', '-n', namespace);
  const ready = await condition('function', 'web', namespace, { type: 'Ready', status: 'True' }, 110_000);
  expect(ready.reason).toBe('Deployed');
});
