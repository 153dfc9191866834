/**
 * Priority classes where a node is full: what matters more takes the place of what matters less, and both say so. Full
 * is a node of a resource that only these tests' pods ask for, so that nothing else of the cluster has to make way.
 */
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { pathOf, routerUrl, wasmEnvironment, wasmFunction } from '../support/functions.ts';
import { images, installFissium } from '../support/install.ts';
import { apply, kubectl, list, tryKubectl } from '../support/kubectl.ts';
import { newNamespace, uniqueName } from '../support/namespace.ts';
import { condition, eventually, events } from '../support/wait.ts';

beforeAll(installFissium);

/** What a node has two of. */
const SEATS = 'fissium.test~1seats';
const SEAT = { limits: { 'fissium.test/seats': '1' } };

interface Classes {
  readonly high: string;
  readonly low: string;
}

async function priorityClasses(): Promise<Classes> {
  const classes = { high: uniqueName('high'), low: uniqueName('low') };
  const make = (name: string, value: number): object => ({
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name },
    value,
  });
  await apply([make(classes.high, 1000), make(classes.low, -10)]);
  onTestFinished(async () => {
    await tryKubectl(['delete', 'priorityclass', classes.high, classes.low]);
  });
  return classes;
}

async function patchNode(operation: object): Promise<void> {
  const [node] = (await kubectl('get', 'nodes', '-o', 'name')).split('\n');
  const patch = JSON.stringify([{ path: `/status/capacity/${SEATS}`, ...operation }]);
  await kubectl('patch', node ?? '', '--subresource=status', '--type=json', '-p', patch);
}

async function twoSeats(): Promise<void> {
  await patchNode({ op: 'add', value: '2' });
  onTestFinished(() => patchNode({ op: 'remove' }));
}

function route(namespace: string, name: string): object {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'HTTPTrigger',
    metadata: { name, namespace },
    spec: { relativeurl: pathOf(namespace, name), methods: ['GET'], functionref: { type: 'name', name } },
  };
}

/** A Node function of the environment `low`: its pool has one generic pod. */
function pooled(namespace: string, priorityClassName: string): object[] {
  const environment = { name: 'low', namespace };
  const code = `module.exports = async () => ({ status: 200, body: 'low' });`;
  const literal = Buffer.from(code).toString('base64');
  return [
    {
      apiVersion: 'fission.io/v1',
      kind: 'Environment',
      metadata: environment,
      spec: {
        version: 3,
        runtime: { image: images.node, podspec: { priorityClassName, containers: [] } },
        poolsize: 1,
        terminationGracePeriod: 6,
        resources: SEAT,
      },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'Package',
      metadata: { name: 'low', namespace },
      spec: { environment, deployment: { type: 'literal', literal } },
    },
    {
      apiVersion: 'fission.io/v1',
      kind: 'Function',
      metadata: { name: 'low', namespace },
      spec: { environment, package: { packageref: { name: 'low', namespace } } },
    },
    route(namespace, 'low'),
  ];
}

/** A container of the user's with as many pods. */
function container(namespace: string, name: string, priorityClassName: string, pods: number): object[] {
  const server = `require('node:http').createServer((q, s) => s.end('${name}')).listen(8080);
    process.on('SIGTERM', () => process.exit(0));`;
  const scale = { ExecutorType: 'container', MinScale: pods, MaxScale: pods };
  return [
    {
      apiVersion: 'fission.io/v1',
      kind: 'Function',
      metadata: { name, namespace },
      spec: {
        environment: {},
        InvokeStrategy: { StrategyType: 'execution', ExecutionStrategy: scale },
        podspec: {
          priorityClassName,
          containers: [
            {
              name,
              image: images.node,
              command: ['node', '-e', server],
              ports: [{ containerPort: 8080 }],
              resources: SEAT,
            },
          ],
        },
      },
    },
    route(namespace, name),
  ];
}

async function answers(namespace: string, name: string, timeoutMs = 60_000): Promise<string> {
  const url = `${await routerUrl()}${pathOf(namespace, name)}`;
  return eventually(
    `an answer of ${name}`,
    async () => {
      const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
      return answer.status === 200 ? answer.text() : undefined;
    },
    timeoutMs,
  );
}

test('a function of high priority takes the place of one of low priority', { timeout: 300_000 }, async () => {
  const namespace = await newNamespace();
  const { high, low } = await priorityClasses();
  await twoSeats();
  await apply(pooled(namespace, low));
  expect(await answers(namespace, 'low')).toBe('low');
  // The function's pod, and the one that the pool keeps ready for the next.
  await eventually('a full node', async () => {
    const pods = await list('pods', namespace, 'environmentName=low');
    return pods.filter(({ status }) => (status as { phase?: string }).phase === 'Running').length === 2;
  });

  await apply(container(namespace, 'high', high, 2));
  await condition('function', 'high', namespace, { type: 'Ready', status: 'True', reason: 'Deployed' });
  expect(await answers(namespace, 'high')).toBe('high');
  expect(await events(namespace)).toMatch(/Preempted\s+pod\/poolmgr-low-/);

  // Whoever calls it is told why, and so is whoever looks.
  const refused = await fetch(`${await routerUrl()}${pathOf(namespace, 'low')}`);
  expect([refused.status, await refused.text()]).toEqual([503, expect.stringMatching(/seats/) as string]);
  const wanted = { type: 'Ready', status: 'False', reason: 'Unschedulable' } as const;
  const { message = '' } = await condition('function', 'low', namespace, wanted);
  expect(message).toContain('Insufficient fissium.test/seats');
  expect(await events(namespace)).toMatch(/Unschedulable\s+function\/low/);

  // It comes back by itself when there is room.
  await kubectl('delete', 'function', 'high', '-n', namespace);
  expect(await answers(namespace, 'low', 120_000)).toBe('low');
  await condition('function', 'low', namespace, { type: 'Ready', status: 'True' });
});

test('hosts of a Wasm environment have its class, and a function waits rather than push out its like', async () => {
  const namespace = await newNamespace();
  const { high, low } = await priorityClasses();
  await twoSeats();
  const runtime = { image: 'wasm', podspec: { priorityClassName: high, containers: [] } };
  await apply([
    wasmEnvironment(namespace, { runtime, resources: SEAT }),
    ...(await wasmFunction({ name: 'hello', namespace })),
    ...container(namespace, 'low', low, 1),
  ]);
  for (const name of ['hello', 'low'])
    await condition('function', name, namespace, { type: 'Ready', status: 'True' });
  const [host] = await list('pods', namespace, 'fissium.io/part=wasm-host');
  expect(host?.spec).toMatchObject({ priorityClassName: high, priority: 1000 });

  await apply(container(namespace, 'other', low, 1));
  const wanted = { type: 'Ready', status: 'False', reason: 'Unschedulable' } as const;
  await condition('function', 'other', namespace, wanted);
  expect(await answers(namespace, 'low')).toBe('low');
  expect(await answers(namespace, 'hello')).toBe('Hello, world!\n');
});

test('a class that is not there is named', async () => {
  const namespace = await newNamespace();
  await apply(container(namespace, 'web', 'nosuch-class', 1));
  const wanted = { type: 'Ready', status: 'False', reason: 'PodsRefused' } as const;
  const { message = '' } = await condition('function', 'web', namespace, wanted);
  expect(message).toContain('nosuch-class');
});
