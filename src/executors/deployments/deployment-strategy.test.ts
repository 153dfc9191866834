import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type KubeClient, type KubeObject, RESOURCES } from '../../kube/index.ts';
import { eventually } from '../../kube/testing/eventually.ts';
import { SmallApi } from '../../kube/testing/small-api.ts';
import type { FunctionLoadReport, Loads } from '../loads.ts';
import { functionOnCluster, type FunctionParts } from '../testing/functions.ts';
import type { StrategyVerdict } from '../strategy.ts';
import type { Autoscaler } from './autoscaler.ts';
import { newdeployKind } from '../newdeploy/index.ts';
import { DeploymentStrategy } from './deployment-strategy.ts';
import { WorkloadCache } from './workload-cache.ts';
import type { Deployment, DeploymentStatus } from './objects.ts';

const UID = '11111111-2222-3333-4444-555555555555';
const NAME = 'newdeploy-hello-default-4444-555555555555';

let api: SmallApi;
let client: KubeClient;
let strategy: DeploymentStrategy;
let cache: WorkloadCache;
let load: FunctionLoadReport | undefined;
let loadsAreFresh: boolean;
let nowMs: number;
let customMetrics: boolean;
let events: string[];
let changed: string[];

const loads: Loads = {
  get completeAtMs() {
    return loadsAreFresh ? performance.now() : null;
  },
  functionOf: (uid) => (uid === UID ? load : undefined),
  endpointOf: () => undefined,
  functions: () => (load === undefined ? [] : [load]),
};

beforeEach(async () => {
  api = await SmallApi.start();
  client = api.client();
  [load, loadsAreFresh, nowMs, customMetrics, events, changed] = [undefined, true, 0, true, [], []];
  make();
});
afterEach(async () => {
  await strategy.close();
  await cache.close();
  client.close();
  await api.close();
});

function make(): void {
  const logger = pino({ level: 'silent' });
  cache = new WorkloadCache({ client, logger, namespaces: [] });
  cache.onChange((key) => changed.push(key));
  strategy = new DeploymentStrategy(newdeployKind({ image: 'fissium:1', serviceAccount: 'hosts' }), cache, {
    client,
    loads,
    logger,
    events: { recordEvent: (_kind, _object, _type, reason) => events.push(reason) },
    customMetrics: () => customMetrics,
    now: () => nowMs,
  });
}

const fn = (parts: Partial<FunctionParts> = {}) => functionOnCluster({ strategy: 'newdeploy', ...parts });
const reconcile = (parts: Partial<FunctionParts> = {}): Promise<StrategyVerdict> =>
  strategy.reconcile(fn(parts));
const deployment = (): Promise<Deployment> => client.get<Deployment>(RESOURCES.deployments, 'default', NAME);
const replicas = async (): Promise<number | undefined> => (await deployment()).spec.replicas;
const autoscaler = (): Promise<Autoscaler> =>
  client.get<Autoscaler>(RESOURCES.horizontalpodautoscalers, 'default', NAME);
const calls = (running: number, queued: number, idleMs = 0): FunctionLoadReport => ({
  namespace: 'default',
  name: 'hello',
  uid: UID,
  strategy: 'newdeploy',
  running,
  queued,
  idleMs,
});

/** Until the watches have brought what was written. */
async function seen(): Promise<void> {
  const { resourceVersion } = (await deployment()).metadata;
  await eventually('the Deployment in the cache', () => {
    const cached = cache.deployments.get('default', NAME);
    return cached?.metadata.resourceVersion === resourceVersion;
  });
}

async function setStatus(status: DeploymentStatus): Promise<void> {
  const { generation = 1 } = (await deployment()).metadata;
  await client.patchStatus(RESOURCES.deployments, 'default', NAME, {
    status: { observedGeneration: generation, ...status },
  });
  await seen();
}

const writes = (): string[] =>
  api.requests
    .filter(({ method }) => method !== 'GET')
    .map(({ method, path }) => `${method} ${path.split('/').slice(-2).join('/')}`);

describe('a function', () => {
  it('gets a Service, a Deployment and an HPA, and nothing is written again while all is as it should be', async () => {
    expect(await reconcile({ scale: { MinScale: 2 } })).toMatchObject({ ready: false, passing: true });
    expect(writes()).toEqual([
      `PATCH services/${NAME}`,
      `PATCH deployments/${NAME}`,
      `PATCH deployments/${NAME}`,
      `PATCH horizontalpodautoscalers/${NAME}`,
    ]);
    expect(await replicas()).toBe(2);
    await seen();
    await reconcile({ scale: { MinScale: 2 } });
    const before = writes().length;
    await reconcile({ scale: { MinScale: 2 } });
    expect(writes().length).toBe(before);
  });

  it('starts without pods where it may have none, and is ready all the same', async () => {
    await reconcile();
    expect(await replicas()).toBe(0);
    await setStatus({});
    expect(await reconcile()).toEqual({
      ready: true,
      reason: 'ScaledToZero',
      message: 'No pod runs; the first call starts one.',
    });
  });

  it('is ready when its pods serve what is wanted now', async () => {
    await reconcile({ scale: { MinScale: 1 } });
    await setStatus({ replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 });
    expect(await reconcile({ scale: { MinScale: 1 } })).toMatchObject({ ready: true, reason: 'Deployed' });
    expect(await reconcile({ scale: { MinScale: 1 }, url: 'http://files/b.zip' })).toMatchObject({
      passing: true,
    });
  });

  it('has the archive that its Package holds in itself, though the Package in memory lacks it', async () => {
    const whole = fn();
    const archive = { type: 'literal' as const, literal: 'QUJD' };
    const pkg = whole.pkg && { ...whole.pkg, spec: { ...whole.pkg.spec, deployment: archive } };
    if (pkg === null) throw new Error('newdeploy has a package');
    await client.create(RESOURCES.packages, pkg);
    const slim = { ...pkg, spec: { ...pkg.spec, deployment: { ...archive, literal: '' } } };
    await strategy.reconcile({ ...whole, pkg: slim });
    expect(JSON.stringify((await deployment()).spec.template)).toContain('QUJD');
  });

  it('is found by a controller that has just become the leader', async () => {
    await reconcile({ scale: { MinScale: 1 } });
    await client.scale(RESOURCES.deployments, 'default', NAME, 3);
    await strategy.close();
    await cache.close();
    make();
    await reconcile({ scale: { MinScale: 1 } });
    expect(await replicas()).toBe(3);
  });

  it('loses all its objects when it goes, also twice', async () => {
    await reconcile({ scale: { MinScale: 1 } });
    const gone = { namespace: 'default', name: 'hello', uid: UID };
    await strategy.remove(gone);
    await strategy.remove(gone);
    for (const type of [RESOURCES.deployments, RESOURCES.services, RESOURCES.horizontalpodautoscalers]) {
      expect((await client.list(type, 'default')).items).toEqual([]);
    }
  });
});

describe('what others change', () => {
  it('is put right where it is ours', async () => {
    await reconcile({ scale: { MinScale: 1 } });
    await client.patchMerge(RESOURCES.deployments, 'default', NAME, { spec: { minReadySeconds: 77 } });
    await seen();
    await reconcile({ scale: { MinScale: 1 } });
    expect((await deployment()).spec.minReadySeconds).toBe(2);
  });

  it('stays where it is theirs: replicas of the HPA, fields that we never set', async () => {
    await reconcile({ scale: { MinScale: 1 } });
    await client.scale(RESOURCES.deployments, 'default', NAME, 3);
    await client.patchMerge(RESOURCES.deployments, 'default', NAME, {
      spec: { progressDeadlineSeconds: 60 },
    });
    await seen();
    await reconcile({ scale: { MinScale: 1 }, url: 'http://files/b.zip' });
    expect((await deployment()).spec).toMatchObject({ replicas: 3, progressDeadlineSeconds: 60 });
  });

  it('is kept within the bounds of the function', async () => {
    await reconcile({ scale: { MinScale: 1 } });
    await client.scale(RESOURCES.deployments, 'default', NAME, 9);
    await seen();
    await reconcile({ scale: { MinScale: 1 } });
    expect(await replicas()).toBe(3);
  });
});

describe('scaling', () => {
  it('starts as many pods as waiting calls need, and no more than allowed', async () => {
    await reconcile();
    await seen();
    await strategy.demand(fn(), { running: 0, queued: 1 });
    expect(await replicas()).toBe(1);
    expect(events).toEqual(['ScaledUp']);
    await client.scale(RESOURCES.deployments, 'default', NAME, 0);
    await seen();
    await strategy.demand(fn(), { running: 0, queued: 1000 });
    expect(await replicas()).toBe(3);
  });

  it('starts with pods where calls wait already', async () => {
    load = calls(0, 30);
    await reconcile();
    expect(await replicas()).toBe(2);
  });

  it('leaves a few waiting calls to the HPA, and scales at once for many', async () => {
    await reconcile({ scale: { MinScale: 1 } });
    await seen();
    load = calls(20, 50);
    await strategy.tick();
    expect(await replicas()).toBe(1);
    load = calls(9, 51);
    await strategy.tick();
    expect(await replicas()).toBe(3);
  });

  it("takes the environment's word for how many are many", async () => {
    await reconcile({ scale: { MinScale: 1 }, environment: { scaling: { queueThreshold: 5 } } });
    await seen();
    load = calls(40, 5);
    await strategy.tick();
    expect(await replicas()).toBe(1);
    load = calls(40, 6);
    await strategy.tick();
    expect(await replicas()).toBe(3);
  });

  const resting: readonly [string, () => void, number][] = [
    ['a call runs', () => (load = calls(1, 0)), 1],
    ['a call waits', () => (load = calls(0, 1)), 1],
    ['the last call ended a moment ago', () => (load = calls(0, 0, 29_000)), 1],
    ['the loads are not known', () => (loadsAreFresh = false), 1],
    ['nobody called for the idle timeout', () => (load = calls(0, 0, 30_000)), 0],
    ['no router has heard of it', () => (load = undefined), 0],
  ];
  it.each(resting)('decides about the last pod when %s', async (_what, set, expected) => {
    const idle = { spec: { idletimeout: 30 } };
    await reconcile(idle);
    await seen();
    await strategy.demand(fn(idle), { running: 0, queued: 1 });
    await seen();
    nowMs += 30_000;
    set();
    await strategy.tick();
    expect(await replicas()).toBe(expected);
  });

  it('never ends pods that this controller saw needed within the idle timeout', async () => {
    await reconcile();
    await seen();
    await strategy.demand(fn(), { running: 0, queued: 1 });
    await seen();
    nowMs += 119_000;
    await strategy.tick();
    expect(await replicas()).toBe(1);
  });

  it('follows the load itself where no metrics of ours are asked for', async () => {
    customMetrics = false;
    await reconcile({ scale: { MinScale: 1 } });
    expect((await client.list(RESOURCES.horizontalpodautoscalers, 'default')).items).toEqual([]);
    await seen();
    load = calls(41, 0);
    await strategy.tick();
    expect(await replicas()).toBe(3);
    await seen();
    nowMs += 120_000;
    load = calls(0, 0, 120_000);
    await strategy.tick();
    expect(await replicas()).toBe(1);
  });

  it('takes the HPA away where there is nothing left to scale between', async () => {
    await reconcile({ scale: { MinScale: 1 } });
    expect((await autoscaler()).spec).toMatchObject({ minReplicas: 1, maxReplicas: 3 });
    await seen();
    await reconcile({ scale: { MinScale: 1, MaxScale: 1 } });
    await expect(autoscaler()).rejects.toMatchObject({ status: 404 });
  });
});

describe('refusals', () => {
  it.each([
    [422, 'Deployment is invalid: spec.template.spec.foo', 'PodSpecRefused'],
    [403, 'deployments.apps "x" is forbidden: exceeded quota: count', 'QuotaExceeded'],
    [403, 'deployments.apps is forbidden: User "x" cannot patch', 'Forbidden'],
  ])('of the API server (%i, %s) are told', async (status, message, reason) => {
    api.intercept = ({ method, path }) =>
      method === 'PATCH' && path.includes('/deployments/')
        ? { status, body: { kind: 'Status', code: status, reason: 'X', message } }
        : undefined;
    const verdict = await reconcile();
    expect(verdict).toMatchObject({ ready: false, reason });
    expect(verdict.message).toContain(message);
  });

  it('that may pass are thrown', async () => {
    api.intercept = ({ method }) => (method === 'PATCH' ? { status: 503 } : undefined);
    await expect(reconcile()).rejects.toMatchObject({ status: 503 });
  });

  it('name a secret that is missing, and pods are replaced when it changes', async () => {
    const spec = { secrets: [{ name: 'key', namespace: 'default' }] };
    expect(await reconcile({ spec })).toMatchObject({
      ready: false,
      reason: 'SecretNotFound',
      message: expect.stringContaining('Secret default/key') as unknown,
    });
    await client.create(RESOURCES.secrets, { metadata: { namespace: 'default', name: 'key' } } as KubeObject);
    await reconcile({ spec });
    const before = (await deployment()).spec.template.metadata?.annotations;
    await client.patchMerge(RESOURCES.secrets, 'default', 'key', { data: { a: 'MQ==' } });
    await seen();
    await reconcile({ spec });
    expect((await deployment()).spec.template.metadata?.annotations).not.toEqual(before);
  });
});

it('tells whose objects changed', async () => {
  await reconcile();
  await eventually('the function', () => changed.length > 0);
  expect(new Set(changed)).toEqual(new Set(['default/hello']));
});
