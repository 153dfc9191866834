/** What happens to functions whose pods or packages fail, and what their status and events say. */
import { beforeAll, describe, expect, test } from 'vitest';
import { ownCluster } from '../support/components.ts';
import { deployWasm, wasmEnvironment, wasmFunction } from '../support/functions.ts';
import { controlPlaneReady, INSTALLED_IN, installFissium } from '../support/install.ts';
import { apply, kubectl } from '../support/kubectl.ts';
import { startLoad } from '../support/load.ts';
import { newNamespace } from '../support/namespace.ts';
import { signalPod } from '../support/processes.ts';
import { condition, events, eventually, readyPods, rolledOut } from '../support/wait.ts';

const MINUTE_MS = 60_000;
const CLIENTS = 6;
const HOSTS = 'fissium.io/part=wasm-host';

beforeAll(installFissium);

test('a package with a wrong digest is refused by its name', async () => {
  const namespace = await newNamespace();
  const sum = '0'.repeat(64);
  await apply([
    wasmEnvironment(namespace),
    ...(await wasmFunction({ name: 'wrong', namespace, deployment: { checksum: { type: 'sha256', sum } } })),
  ]);
  const wanted = { type: 'Ready', status: 'False' } as const;
  const message = await eventually('the function says what is wrong with its package', async () => {
    const found = await condition('function', 'wrong', namespace, wanted);
    return found.message?.includes(sum.slice(0, 12)) === true && found.message;
  });
  expect(message).toContain('sha256');
  await expect.poll(() => events(namespace), { timeout: MINUTE_MS }).toContain(sum.slice(0, 12));
});

test('an image that does not exist is named by the function and an event', async () => {
  const namespace = await newNamespace();
  await apply([
    {
      apiVersion: 'fission.io/v1',
      kind: 'Function',
      metadata: { name: 'missing', namespace },
      spec: {
        // As Fission's CLI writes it.
        environment: { name: '', namespace: '' },
        package: { packageref: { name: '', namespace: '' } },
        InvokeStrategy: {
          StrategyType: 'execution',
          ExecutionStrategy: { ExecutorType: 'container', MinScale: 1, MaxScale: 1 },
        },
        podspec: {
          containers: [
            { name: 'missing', image: 'localhost/no-such-image:1', ports: [{ containerPort: 80 }] },
          ],
        },
      },
    },
  ]);
  const found = await condition('function', 'missing', namespace, {
    type: 'Ready',
    status: 'False',
    reason: 'ImagePullFailed',
  });
  expect(found.message).toContain('localhost/no-such-image:1');
  await expect
    .poll(() => events(namespace), { timeout: MINUTE_MS })
    .toMatch(/ImagePullFailed\s+function\/missing/);
});

test('a node that has no room is named by the function', async () => {
  const namespace = await newNamespace();
  await apply([
    {
      apiVersion: 'fission.io/v1',
      kind: 'Function',
      metadata: { name: 'large', namespace },
      spec: {
        // As Fission's CLI writes it.
        environment: { name: '', namespace: '' },
        package: { packageref: { name: '', namespace: '' } },
        InvokeStrategy: {
          StrategyType: 'execution',
          ExecutionStrategy: { ExecutorType: 'container', MinScale: 1, MaxScale: 1 },
        },
        resources: { requests: { cpu: '1000' }, limits: { cpu: '1000' } },
        podspec: {
          containers: [{ name: 'large', image: 'localhost/busybox:1', ports: [{ containerPort: 80 }] }],
        },
      },
    },
  ]);
  const wanted = { type: 'Ready', status: 'False', reason: 'Unschedulable' } as const;
  const { message } = await condition('function', 'large', namespace, wanted);
  expect(message).toContain('cpu');
});

describe('under load', () => {
  test('a new package is rolled out without a failed request', { timeout: 5 * MINUTE_MS }, async () => {
    const namespace = await newNamespace();
    const url = await deployWasm({ name: 'changing', namespace });
    const load = startLoad(url, CLIENTS);
    await apply(await wasmFunction({ name: 'changing', namespace, guest: 'startup' }));
    await eventually(
      'the new code answers',
      async () => (await (await fetch(url)).text()) !== 'Hello, world!\n',
    );
    const { answered, failures } = await load.stop();
    expect(failures).toEqual({});
    expect(answered).toBeGreaterThan(0);
  });

  test('routers are replaced without a failed request', { timeout: 5 * MINUTE_MS }, async () => {
    const namespace = await newNamespace();
    const url = await deployWasm({ name: 'steady', namespace });
    const load = startLoad(url, CLIENTS);
    await kubectl('rollout', 'restart', 'deployment/router', '-n', INSTALLED_IN);
    await rolledOut('router', INSTALLED_IN, 2 * MINUTE_MS);
    const { answered, failures } = await load.stop();
    expect(failures).toEqual({});
    expect(answered).toBeGreaterThan(0);
    await controlPlaneReady();
  });

  test('hosts are replaced without a failed request', { timeout: 5 * MINUTE_MS }, async () => {
    const namespace = await newNamespace();
    const url = await deployWasm({ name: 'steady', namespace });
    const [before = ''] = await readyPods(namespace, HOSTS, 1);
    const load = startLoad(url, CLIENTS);
    await kubectl('rollout', 'restart', 'deployment', '-n', namespace, '-l', HOSTS);
    const [after] = await eventually('another host', async () => {
      const now = await readyPods(namespace, HOSTS, 1);
      return !now.includes(before) && now;
    });
    const { answered, failures } = await load.stop();
    expect(failures).toEqual({});
    expect(answered).toBeGreaterThan(0);
    expect(after).not.toBe(before);
  });

  test.skipIf(ownCluster === undefined)(
    'a host that is killed fails only what it was answering',
    { timeout: 5 * MINUTE_MS },
    async () => {
      const namespace = await newNamespace();
      const url = await deployWasm({ name: 'hit', namespace });
      const [host = ''] = await readyPods(namespace, HOSTS, 1);
      const load = startLoad(url, CLIENTS);
      await eventually('load', async () => load.answered > 20);
      await signalPod(host, 'SIGKILL');
      const answeredAtKill = load.answered;
      await eventually('answers again', async () => load.answered > answeredAtKill + 50, 2 * MINUTE_MS);
      const { failures } = await load.stop();
      const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
      expect(failed, JSON.stringify(failures)).toBeLessThanOrEqual(CLIENTS);
    },
  );
});
