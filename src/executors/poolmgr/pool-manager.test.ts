/** The pool manager over a small API server, with Deployments that get pods and fetchers that answer over HTTP. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type KubeObject, RESOURCES } from '../../kube/index.ts';
import { PoolManager } from './pool-manager.ts';
import type { PoolPod } from './pool-pod.ts';
import {
  environmentOf,
  functionOn,
  keyOf,
  silent,
  SmallCluster,
  TestLoads,
} from './testing/small-cluster.ts';

let cluster: SmallCluster;
let loads: TestLoads;
let manager: PoolManager;
let nowMs: number;
let events: { reason: string; message: string; name: string }[];
let changes: string[];
const managers: PoolManager[] = [];

async function startManager(): Promise<PoolManager> {
  const started = await PoolManager.start({
    client: cluster.client,
    events: {
      recordEvent: (_kind, { metadata }, _type, reason, message) =>
        events.push({ reason, message, name: metadata.name }),
      close: () => Promise.resolve(),
    },
    loads,
    logger: silent,
    image: 'localhost/fissium:dev',
    namespaces: [],
    authSecret: null,
    onChange: (key) => changes.push(key),
    fetcherPort: cluster.fetcherPort,
    now: () => nowMs,
  });
  managers.push(started);
  return started;
}

beforeEach(async () => {
  cluster = await SmallCluster.start();
  loads = new TestLoads();
  nowMs = 1_000_000;
  events = [];
  changes = [];
  manager = await startManager();
});
afterEach(async () => {
  await Promise.all(managers.splice(0).map((one) => one.close()));
  await cluster.close();
});

const serving = (uid = 'uid-of-hello'): Promise<PoolPod[]> => cluster.podsOf(uid, 'ready');
const retiring = (uid = 'uid-of-hello'): Promise<PoolPod[]> => cluster.podsOf(uid, 'retiring');

/** Text in what is expected. */
const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);

/** Some time goes by, in which routers are asked as they are every second. */
async function pass(ms: number): Promise<void> {
  nowMs += ms;
  loads.completeAtMs = nowMs;
  await manager.tick();
}

async function called(pods: readonly PoolPod[], running: number, idleMs: number): Promise<void> {
  for (const pod of pods) loads.endpoints.set(keyOf(pod), { pod: keyOf(pod), running, idleMs });
  await manager.tick();
}

/** A function that has so many pods. */
async function served(pods: number, fn = functionOn()): Promise<PoolPod[]> {
  await manager.reconcile(fn);
  await manager.demand(fn, { running: 0, queued: pods * fn.resolved.pods.requestsPerPod });
  await cluster.eventually('pods serve', async () => (await serving(fn.resolved.uid)).length === pods);
  await manager.demand(fn, { running: 0, queued: 0 });
  return serving(fn.resolved.uid);
}

describe('the first calls', () => {
  it('take a pod of the pool, which is filled up again', async () => {
    const verdict = await manager.reconcile(functionOn());
    expect(verdict).toMatchObject({ ready: false, passing: true, reason: 'PoolStarting' });
    await cluster.eventually('the pool is full', async () => (await cluster.generic()).length === 3);
    const uncalled = await manager.reconcile(functionOn());
    await manager.demand(functionOn(), { running: 0, queued: 1 });
    await cluster.eventually('a pod serves', async () => (await serving()).length === 1);
    await cluster.eventually('the pool is full again', async () => (await cluster.generic()).length === 3);

    const [pod] = await serving();
    expect(pod?.metadata.labels).toMatchObject({
      functionName: 'hello',
      functionNamespace: 'default',
      functionUid: 'uid-of-hello',
      environmentName: 'python',
      executorType: 'poolmgr',
      'fissium.io/part': 'pool',
    });
    expect(pod?.metadata.labels).not.toHaveProperty('managed');
    expect(pod?.metadata.ownerReferences).toMatchObject([
      { kind: 'Environment', name: 'python', controller: true },
    ]);
    expect(cluster.specialised).toMatchObject([
      {
        ip: pod?.status?.podIP,
        body: {
          FetchReq: {
            fetchType: 1,
            package: { namespace: 'default', name: 'hello-pkg' },
            filename: 'deployarchive',
          },
          LoadReq: { filepath: '/userfunc/deployarchive', functionName: 'main.main', envVersion: 3 },
        },
      },
    ]);
    expect(uncalled).toMatchObject({ ready: true, reason: 'Deployed' });
    // Other words would be another status, which a change of the package would have written.
    expect(await manager.reconcile(functionOn())).toEqual(uncalled);
  });

  it.each([
    [10, 1, 10],
    [10, 5, 2],
    [11, 5, 3],
  ])(
    '%i at once of %i a pod make %i pods, however often that is told',
    async (queued, requestsPerPod, pods) => {
      const fn = functionOn({ spec: { requestsPerPod } });
      await manager.reconcile(fn);
      await manager.demand(fn, { running: 0, queued });
      await manager.demand(fn, { running: 0, queued });
      await cluster.eventually('pods serve', async () => (await serving()).length === pods);
      await manager.demand(fn, { running: queued, queued: 0 });
      await manager.tick();
      expect(cluster.specialised).toHaveLength(pods);
    },
  );

  it('make no more pods than the function may have', async () => {
    const fn = functionOn({ spec: { concurrency: 2 } });
    await manager.reconcile(fn);
    await manager.demand(fn, { running: 0, queued: 9 });
    await cluster.eventually('pods serve', async () => (await serving()).length === 2);
    await manager.demand(fn, { running: 2, queued: 7 });
    await manager.tick();
    expect(cluster.specialised).toHaveLength(2);
  });

  it('start a pod where the pool keeps none', async () => {
    const environment = environmentOf({ poolsize: 0 });
    const fn = functionOn({ environment });
    expect(await manager.reconcile(fn)).toMatchObject({ ready: true });
    expect(await cluster.pods()).toEqual([]);
    await manager.demand(fn, { running: 0, queued: 1 });
    await cluster.eventually('a pod serves', async () => (await serving()).length === 1);
  });

  it('are told that the environment is at its maximum', async () => {
    const environment = environmentOf({ poolsize: 1, scaling: { maxPods: 2 } });
    const fn = functionOn({ environment });
    await manager.reconcile(fn);
    await manager.demand(fn, { running: 0, queued: 5 });
    await cluster.eventually('pods serve', async () => (await serving()).length === 2);
    await manager.tick();
    await cluster.eventually('no others are left', async () => (await cluster.pods()).length === 2);
    expect(cluster.specialised).toHaveLength(2);
    expect(events).toMatchObject([{ reason: 'PoolAtMaximum', message: matching(/maximum of 2 pods/) }]);
  });
});

describe('two leaders', () => {
  it('never take the same pod', async () => {
    const other = await startManager();
    const fns = [functionOn({ name: 'one' }), functionOn({ name: 'two' })] as const;
    await Promise.all([manager.reconcile(fns[0]), other.reconcile(fns[1])]);
    await cluster.eventually('the pool is full', async () => (await cluster.generic()).length === 3);
    await Promise.all([
      manager.demand(fns[0], { running: 0, queued: 4 }),
      other.demand(fns[1], { running: 0, queued: 4 }),
    ]);
    await cluster.eventually(
      'all are served',
      async () => (await serving('uid-of-one')).length === 4 && (await serving('uid-of-two')).length === 4,
    );
    const byPod = new Map<string, string>();
    for (const { ip, body } of cluster.specialised) {
      const { uid } = body.LoadReq['FunctionMetadata'] as { uid: string };
      expect(byPod.get(ip) ?? uid).toBe(uid);
      byPod.set(ip, uid);
    }
  });

  it('one after the other: what the first began is ended, what it made is used', async () => {
    const [pod] = await served(1);
    cluster.answer = () => undefined;
    await manager.demand(functionOn(), { running: 1, queued: 1 });
    await cluster.eventually('another is being specialised', () => cluster.specialised.length === 2);
    await manager.close();

    manager = await startManager();
    await manager.reconcile(functionOn());
    await pass(1000);
    expect((await serving()).map(keyOf)).toEqual([pod].map((one) => (one === undefined ? '' : keyOf(one))));
    expect(
      (await cluster.pods()).filter(({ metadata }) => metadata.labels?.['functionUid'] !== undefined),
    ).toHaveLength(2);
    await called(await serving(), 1, 0);
    await pass(121_000);
    await cluster.eventually(
      'the half-made pod is gone',
      async () =>
        (await cluster.pods()).filter(({ metadata }) => metadata.labels?.['functionUid'] !== undefined)
          .length === 1,
    );
    expect(await serving()).toHaveLength(1);
  });
});

describe('code that does not load', () => {
  it('is told with its trace, once, and tried with one pod at a time', async () => {
    cluster.answer = (_, response) => {
      response
        .writeHead(500)
        .end('The runtime could not load the function: Traceback (most recent call last): …\nNameError: x');
    };
    const fn = functionOn();
    await manager.reconcile(fn);
    await manager.demand(fn, { running: 0, queued: 1 });
    await cluster.eventually('it failed', () => events.length === 1);
    expect(events).toMatchObject([
      { reason: 'SpecialiseFailed', name: 'hello', message: matching(/NameError: x$/) },
    ]);
    expect(changes).toContain('default/hello');
    expect(await manager.reconcile(fn)).toMatchObject({ ready: false, reason: 'SpecialiseFailed' });
    expect(manager.failure('uid-of-hello')).toMatchObject({ reason: 'SpecialiseFailed' });
    await manager.demand(fn, { running: 0, queued: 9 });
    expect(cluster.specialised).toHaveLength(1);

    nowMs += 2000;
    await manager.demand(fn, { running: 0, queued: 9 });
    await cluster.eventually('it failed again', () => events.length === 2);
    expect(cluster.specialised).toHaveLength(2);

    cluster.answer = (_, response) => response.end();
    nowMs += 4000;
    const better = functionOn({ code: 'b' });
    await manager.reconcile(better);
    await manager.demand(better, { running: 0, queued: 2 });
    await cluster.eventually('it serves', async () => (await serving()).length === 2);
    expect(await manager.reconcile(better)).toMatchObject({ ready: true, reason: 'Deployed' });
    expect(
      (await cluster.pods()).filter(({ metadata }) => metadata.labels?.['functionUid'] !== undefined),
    ).toHaveLength(2);
  });

  it('leaves the version before in service', async () => {
    const before = await served(1);
    cluster.answer = (_, response) => {
      response.writeHead(500).end('SyntaxError');
    };
    await manager.reconcile(functionOn({ code: 'b' }));
    await cluster.eventually('it failed', () => events.length === 1);
    const verdict = await manager.reconcile(functionOn({ code: 'b' }));
    expect(verdict).toMatchObject({
      ready: false,
      message: matching(/The version before still serves/),
    });
    await pass(1000);
    expect((await serving()).map(keyOf)).toEqual(before.map(keyOf));
  });
});

it('another pod is taken where one is gone when it is to be specialised', async () => {
  let first = true;
  cluster.answer = (_, response) => {
    if (first) response.destroy();
    else response.end();
    first = false;
  };
  await served(1);
  expect(cluster.specialised).toHaveLength(2);
  expect(events).toEqual([]);
  await cluster.eventually('no other is left', async () => (await cluster.pods()).length === 4);
});

describe('a new version', () => {
  it('comes first, and then the old pods go, once they are idle', async () => {
    const before = await served(2);
    await called(before, 1, 0);
    loads.byUid.set('uid-of-hello', {
      namespace: 'default',
      name: 'hello',
      uid: 'uid-of-hello',
      strategy: 'poolmgr',
      running: 2,
      queued: 0,
      idleMs: 0,
    });
    nowMs += 4000;
    await manager.reconcile(functionOn({ code: 'b' }));
    await cluster.eventually('the old ones retire', async () => (await retiring()).length === 2);
    expect(await serving()).toHaveLength(2);
    const endpoints = cluster.api.requests.flatMap(({ method, path, body }) => {
      const patch = body as { metadata?: { annotations?: Record<string, string | null> } } | undefined;
      const endpoint = patch?.metadata?.annotations?.['fissium.io/endpoint'] ?? null;
      return method === 'PATCH' && path.includes('/pods/') && endpoint !== null ? [endpoint] : [];
    });
    expect(endpoints).toEqual(['ready', 'ready', 'ready', 'ready', 'retiring', 'retiring']);
    expect((await retiring()).map(keyOf).toSorted()).toEqual(before.map(keyOf).toSorted());

    await pass(1000);
    await pass(1000);
    expect(await retiring()).toHaveLength(2);
    await called(before, 0, 500);
    await pass(1000);
    expect(await retiring()).toHaveLength(2);
    await called(before, 0, 1500);
    await cluster.eventually('they are gone', async () => (await retiring()).length === 0);
    expect(await serving()).toHaveLength(2);
  });

  it.each<[string, () => Promise<unknown>]>([
    [
      'of the environment',
      () =>
        manager.reconcile(
          functionOn({
            environment: environmentOf(
              { runtime: { image: 'localhost/fissium-python:next' } },
              { resourceVersion: '2' },
            ),
          }),
        ),
    ],
    [
      'of the entry point',
      () =>
        manager.reconcile(
          functionOn({
            spec: { package: { packageref: { name: 'hello-pkg' }, functionName: 'main.other' } },
          }),
        ),
    ],
  ])('%s replaces the pods', async (_, change) => {
    const [before] = await served(1);
    await change();
    await cluster.eventually('the old one retires', async () => {
      await manager.tick();
      return (await retiring()).length === 1;
    });
    expect((await retiring())[0]?.metadata.name).toBe(before?.metadata.name);
    expect(await serving()).toHaveLength(1);
  });

  it('is none where only limits of the router change', async () => {
    await served(1);
    await manager.reconcile(functionOn({ spec: { functionTimeout: 5, concurrency: 3 } }));
    await pass(1000);
    expect(await retiring()).toEqual([]);
    expect(cluster.specialised).toHaveLength(1);
  });
});

describe('idle pods', () => {
  it('go after the idle time, down to what the function retains', async () => {
    const fn = functionOn({ spec: { idletimeout: 30, retainPods: 1 } });
    const pods = await served(3, fn);
    await called(pods.slice(0, 1), 0, 20_000);
    await pass(29_000);
    expect(await serving()).toHaveLength(3);
    await pass(2000);
    await cluster.eventually('two retire', async () => (await retiring()).length === 2);
    await pass(2000);
    await pass(2000);
    await cluster.eventually('two are gone', async () => (await retiring()).length === 0);
    expect((await serving()).map(keyOf)).toEqual(pods.slice(0, 1).map(keyOf));
  });

  it('stay where routers could not be asked', async () => {
    await served(1);
    nowMs += 1_000_000;
    await manager.tick();
    expect(await serving()).toHaveLength(1);
  });

  it('are used once where the function says so', async () => {
    const fn = functionOn({ spec: { onceOnly: true } });
    const pods = await served(2, fn);
    await called(pods.slice(0, 1), 1, 0);
    await pass(1000);
    expect(await serving()).toHaveLength(2);
    await called(pods.slice(0, 1), 0, 10);
    await cluster.eventually('the used one retires', async () => (await retiring()).length === 1);
    await manager.demand(fn, { running: 0, queued: 2 });
    await cluster.eventually('a clean one comes', async () => (await serving()).length === 2);
  });
});

describe('the pool', () => {
  it('says why no pod becomes ready, to those that wait and in the status', async () => {
    cluster.podStatus = {
      phase: 'Pending',
      containerStatuses: [
        {
          name: 'python',
          image: 'no/such',
          state: { waiting: { reason: 'ImagePullBackOff', message: 'not found' } },
        },
      ],
    };
    const fn = functionOn();
    await manager.reconcile(fn);
    await manager.demand(fn, { running: 0, queued: 1 });
    await cluster.eventually('pods are there', async () => (await cluster.pods()).length === 3);
    await cluster.eventually('it is told', async () => {
      await manager.tick();
      return events.length === 1;
    });
    await manager.tick();
    expect(events).toMatchObject([{ reason: 'ImagePullFailed', message: matching(/no\/such.*not found/) }]);
    expect(await manager.reconcile(fn)).toMatchObject({ ready: false, reason: 'ImagePullFailed' });
    for (const pod of await cluster.pods()) {
      const podIP = `127.2.0.${1 + (await cluster.pods()).findIndex(({ metadata }) => metadata.name === pod.metadata.name)}`;
      await cluster.setStatus(pod, {
        phase: 'Running',
        podIP,
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [],
      });
    }
    await cluster.eventually('it serves', async () => (await serving()).length === 1);
  });

  it('is there before the first function', async () => {
    await manager.reconcileEnvironment(environmentOf({ poolsize: 2 }));
    await cluster.eventually('pods are there', async () => (await cluster.generic()).length === 2);
    expect(await manager.reconcileEnvironment(environmentOf({ poolsize: 2 }))).toMatchObject({ ready: true });
  });

  it('grows with its share of what is busy, and shrinks after its idle time', async () => {
    const environment = environmentOf({ poolsize: 1, scaling: { idlePercent: 50, idleTimeout: '60s' } });
    const fn = functionOn({ environment });
    await served(4, fn);
    await manager.tick();
    await cluster.eventually(
      'as many are idle as are busy',
      async () => (await cluster.generic()).length === 4,
    );
    await manager.remove(fn.resolved);
    await pass(59_000);
    expect(await cluster.generic()).toHaveLength(4);
    await pass(2000);
    await cluster.eventually('one is left', async () => (await cluster.generic()).length === 1);
  });

  it('is made again where somebody deleted it', async () => {
    await manager.reconcileEnvironment(environmentOf());
    await cluster.client.create(RESOURCES.environments, { ...environmentOf().object } as KubeObject);
    const [deployment] = (await cluster.client.list(RESOURCES.deployments, 'default')).items;
    const { uid } = await cluster.client
      .get<KubeObject>(RESOURCES.environments, 'default', 'python')
      .then(({ metadata }) => metadata);
    expect(uid).toBeDefined();
    await manager.reconcileEnvironment(environmentOf({}, { uid: uid ?? '', resourceVersion: '2' }));
    const name =
      (await cluster.client.list(RESOURCES.deployments, 'default')).items.find(
        (one) => one.metadata.name !== deployment?.metadata.name,
      )?.metadata.name ?? '';
    await cluster.client.remove(RESOURCES.deployments, 'default', name);
    await pass(61_000);
    await cluster.eventually('it is back', async () =>
      (await cluster.client.list(RESOURCES.deployments, 'default')).items.some(
        (one) => one.metadata.name === name,
      ),
    );
  });
});

describe('what is gone', () => {
  it('has its pool written no more', async () => {
    const fn = functionOn();
    await served(1, fn);
    const answerAll = cluster.api.intercept;
    cluster.api.intercept = (request) =>
      request.path.includes('/deployments/')
        ? {
            status: 403,
            body: { kind: 'Status', reason: 'Forbidden', message: 'the namespace is being terminated' },
          }
        : answerAll?.(request);
    const writes = (): number => cluster.api.count('PATCH', '/deployments/');
    const before = writes();
    await manager.demand(fn, { running: 0, queued: 9 });
    await cluster.eventually('it was tried', () => writes() === before + 1);
    await cluster.eventually(
      'its environment was looked for',
      () => cluster.api.count('GET', '/environments/') > 0,
    );
    // The one that was under way then may be tried again.
    await pass(60_000);
    await pass(60_000);
    const settled = writes();
    await pass(60_000);
    await pass(60_000);
    expect(writes()).toBe(settled);
  });

  it('takes its pods along', async () => {
    await served(2);
    await manager.remove({ uid: 'uid-of-hello' });
    await manager.remove({ uid: 'uid-of-hello' });
    await cluster.eventually('they are gone', async () => (await serving()).length === 0);
    expect(await retiring()).toEqual([]);
  });

  it('while no leader was there is found out', async () => {
    const gone = await served(1, functionOn({ name: 'gone' }));
    await cluster.client.create(RESOURCES.functions, functionOn({ name: 'stays' }).object as KubeObject);
    const { uid = '' } = (await cluster.client.get<KubeObject>(RESOURCES.functions, 'default', 'stays'))
      .metadata;
    const stays = functionOn({ name: 'stays' });
    const fn = {
      ...stays,
      resolved: { ...stays.resolved, uid },
      object: { ...stays.object, metadata: { ...stays.object.metadata, uid } },
    };
    await served(1, fn);
    await manager.close();
    manager = await startManager();
    await pass(61_000);
    await cluster.eventually('its pod is gone', async () => (await serving('uid-of-gone')).length === 0);
    expect(gone).toHaveLength(1);
    expect(await serving(uid)).toHaveLength(1);
  });
});

describe('secrets and config maps', () => {
  const fn = functionOn({
    spec: { secrets: [{ name: 's', mountPath: 'creds' }], env: [{ name: 'MODE', value: 'fast' }] },
  });

  it('may be read by the fetchers of the namespace, and nothing else, and replace the pods when they change', async () => {
    await cluster.client.create(RESOURCES.secrets, { metadata: { namespace: 'default', name: 's' } });
    const [before] = await served(1, fn);
    expect(await cluster.client.get(RESOURCES.roles, 'default', 'fissium-fetcher')).toMatchObject({
      rules: [
        { resources: ['packages'], resourceNames: ['hello-pkg'], verbs: ['get'] },
        { resources: ['secrets'], resourceNames: ['s'], verbs: ['get'] },
      ],
    });
    await cluster.client.patchMerge(RESOURCES.secrets, 'default', 's', { data: { a: 'QQ==' } });
    await manager.reconcile(fn);
    await cluster.eventually('the old one retires', async () => {
      await manager.tick();
      return (await retiring()).length === 1;
    });
    expect((await retiring())[0]?.metadata.name).toBe(before?.metadata.name);
  });

  it('that are missing are named', async () => {
    expect(await manager.reconcile(fn)).toMatchObject({
      ready: false,
      reason: 'SecretNotFound',
      message: matching(/default\/s/),
    });
  });

  it('are forgotten with the function', async () => {
    await cluster.client.create(RESOURCES.secrets, { metadata: { namespace: 'default', name: 's' } });
    await manager.reconcile(fn);
    await manager.remove(fn.resolved);
    await pass(61_000);
    await cluster.eventually('the role is empty', async () => {
      const role = await cluster.client.get<KubeObject & { rules: unknown[] }>(
        RESOURCES.roles,
        'default',
        'fissium-fetcher',
      );
      return role.rules.length === 0;
    });
    expect(cluster.api.count('DELETE', '/roles/')).toBe(0);
  });
});

describe('environment variables', () => {
  const env = [{ name: 'MODE', value: 'fast' }];

  it('travel to runtimes of ours', async () => {
    await served(1, functionOn({ spec: { env } }));
    expect(cluster.specialised[0]?.body.FetchReq['env']).toEqual(env);
  });

  it('are refused for other images, with what to do', async () => {
    const environment = environmentOf({ runtime: { image: 'ghcr.io/fission/python-env-3.12' } });
    expect(await manager.reconcile(functionOn({ environment, spec: { env } }))).toEqual({
      ready: false,
      reason: 'EnvironmentVariablesNotServed',
      message: matching(/newdeploy.*fissium\.io\/runtime=true/),
    });
  });
});

describe('resources of a function', () => {
  const fn = functionOn({ spec: { resources: { limits: { memory: '64Mi' } } } });

  it('have a pool of their own where pods cannot be resized', async () => {
    await served(1, fn);
    const [pod] = await serving();
    expect(pod?.metadata.labels?.['fissium.io/resources']).toMatch(/^[0-9a-f]{10}$/);
    expect(cluster.api.count('PATCH', '/resize')).toBe(0);
  });
});

describe('resources of a function, where pods can be resized', () => {
  const fn = functionOn({ spec: { resources: { limits: { memory: '64Mi' } } } });

  beforeEach(async () => {
    cluster.resizes = true;
    await manager.close();
    manager = await startManager();
  });

  it('are given to the pod that it takes', async () => {
    await served(1, fn);
    const resized = cluster.api.requests.find(({ path }) => path.endsWith('/resize'));
    expect(resized?.body).toEqual({
      spec: { containers: [{ name: 'python', resources: { limits: { memory: '64Mi' } } }] },
    });
    expect((await serving())[0]?.metadata.labels).toMatchObject({ 'fissium.io/resources': 'environment' });
  });

  it('have a pool of their own where the node has no room', async () => {
    const [pod] = await served(1, fn);
    if (pod === undefined) throw new Error('no pod');
    await cluster.setStatus(pod, {
      ...pod.status,
      conditions: [
        { type: 'Ready', status: 'True' },
        {
          type: 'PodResizePending',
          status: 'True',
          reason: 'Infeasible',
          message: 'Node did not have enough capacity',
        },
      ],
    });
    await cluster.eventually('one of another pool serves', async () => {
      await manager.tick();
      return (await serving()).some(
        ({ metadata }) => metadata.labels?.['fissium.io/resources'] !== 'environment',
      );
    });
    await cluster.eventually('the first one retires', async () => {
      await manager.tick();
      return (await retiring()).length === 1;
    });
    expect(events).toMatchObject([{ reason: 'ResizeRefused', message: matching(/enough capacity/) }]);
  });
});

it('a pod whose runtime was started again is replaced, unless the runtime loads its code by itself', async () => {
  const environment = environmentOf({ runtime: { image: 'ghcr.io/fission/python-env-3.12' } });
  const [foreign] = await served(1, functionOn({ name: 'foreign', environment }));
  const [own] = await served(
    1,
    functionOn({ name: 'own', environment: environmentOf({}, { uid: 'other', name: 'python' }) }),
  );
  for (const pod of [foreign, own]) {
    if (pod === undefined) throw new Error('no pod');
    const containerStatuses = [{ name: 'python', restartCount: 1, ready: true }];
    await cluster.setStatus(pod, { ...pod.status, containerStatuses });
  }
  await cluster.eventually('one retires', async () => {
    await manager.tick();
    return (await retiring('uid-of-foreign')).length === 1;
  });
  expect(await serving('uid-of-own')).toHaveLength(1);
  expect(events).toMatchObject([{ reason: 'RuntimeRestarted' }]);
});
