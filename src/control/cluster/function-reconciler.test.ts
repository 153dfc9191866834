/** Which strategy runs a function, and what it is told: a small API, real caches, strategies that only keep count. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { FissionFunction, Package } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import type { FunctionOnCluster, Strategy } from '../../executors/strategy.ts';
import { RESOURCES, SILENT_EVENTS } from '../../kube/index.ts';
import { FunctionTable } from '../../router/index.ts';
import type { ReconcilerContext } from '../context.ts';
import { OwnedRoutes } from '../function/owned-routes.ts';
import { PackageStates } from '../package/package-states.ts';
import { Patience } from '../patience.ts';
import { StatusWriter } from '../status.ts';
import { environment, fn, pkg, TestPlatform } from '../testing/platform.ts';
import { allKinds, type Watched, watchEverything } from '../watched.ts';
import { ClusterFunctionReconciler } from './function-reconciler.ts';
import { namedByFunctions } from './host-access-sources.ts';

let platform: TestPlatform;
let watched: Watched;
let states: PackageStates;
let reconciler: ClusterFunctionReconciler;
let told: string[];

beforeEach(async () => {
  platform = await TestPlatform.make();
  told = [];
  const { client } = platform;
  const logger = pino({ level: 'silent' });
  await platform.create(environment('wasm', 'wasm'), pkg('hello-pkg'), fn('hello'));
  const python = { name: 'python', namespace: 'default' };
  await platform.create(
    environment('python', 'python'),
    pkg('py-pkg', undefined, 'python'),
    fn('py', { environment: python }),
  );
  watched = watchEverything(client, logger, undefined);
  for (const kind of allKinds(watched)) kind.start();
  await Promise.all(allKinds(watched).map((kind) => kind.synced()));
  const context: ReconcilerContext = {
    client,
    statuses: new StatusWriter(client),
    events: SILENT_EVENTS,
    watched,
    logger,
    now: () => new Date(),
    platform: 'cluster',
  };
  states = new PackageStates(() => undefined);
  const tell =
    (what: string) =>
    ({ resolved }: FunctionOnCluster): void =>
      void told.push(`${what} ${resolved.name}`);
  const strategy = (name: string): Strategy => ({
    reconcile: (placed) => {
      tell(`${name} runs`)(placed);
      return Promise.resolve({ ready: true, reason: 'Deployed', message: '' });
    },
    demand: (placed) => Promise.resolve(tell(`${name} is wanted for`)(placed)),
    remove: () => Promise.resolve(),
    tick: () => Promise.resolve(),
    close: () => Promise.resolve(),
  });
  reconciler = new ClusterFunctionReconciler({
    context,
    packageStates: states,
    strategies: {
      'wasm-hosts': strategy('wasm-hosts'),
      poolmgr: strategy('poolmgr'),
      newdeploy: strategy('newdeploy'),
      container: strategy('container'),
    },
    routes: new OwnedRoutes(context),
    patience: new Patience(() => undefined),
    table: new FunctionTable(),
    onTableChange: () => undefined,
    again: () => undefined,
  });
});

afterEach(async () => {
  reconciler.close();
  await Promise.all(allKinds(watched).map((kind) => kind.close()));
  await platform.close();
});

const nobody = (): Promise<never> => Promise.reject(new Error('nobody asks here'));

it.each([
  ['hello', 'with a version from before', { wasm: { select: nobody } }, 'wasm-hosts'],
  ['py', 'of a container environment with one', { stored: { fetch: nobody } }, 'poolmgr'],
  ['hello', 'without one', undefined, null],
] as const)('a source of %s that could not be built, %s', async (name, _how, earlier, strategy) => {
  const object = await platform.get<Package>(RESOURCES.packages, `${name}-pkg`);
  const error = new FissiumError('BUILD_FAILED', 'no hello.c');
  states.set(object, { phase: 'failed', error, ...(earlier === undefined ? {} : { earlier }) });
  await reconciler.reconcile(`default/${name}`);
  const { metadata, status } = await platform.get<FissionFunction>(RESOURCES.functions, name);
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  expect([ready?.status, ready?.reason]).toEqual(['False', 'PackageFailed']);
  await reconciler.demand(`default/${name}`, metadata.uid ?? '', { running: 0, queued: 1 });
  expect(told).toEqual(
    strategy === null ? [] : [`${strategy} runs ${name}`, `${strategy} is wanted for ${name}`],
  );
});

it.each([
  ['hello', { secrets: [{ namespace: 'default', name: 'fissium-host-keys' }] }],
  ['py', { envFrom: [{ secretRef: { name: 'fissium-fetcher-keys' } }] }],
  ['py', { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'fissium-host-keys', key: 'k' } } }] }],
] as const)("%s, which names the platform's keys, gets none of them: %j", async (name, spec) => {
  // A cluster's API server knows the CRD alone, and so takes it.
  await platform.patch(RESOURCES.functions, name, { spec });
  const cached = (): FissionFunction | undefined => watched.functions.getByKey(`default/${name}`);
  await expect.poll(() => cached()?.spec).toMatchObject(spec);
  const sources = namedByFunctions(watched);
  expect(sources.functionsOf('default').flatMap((object) => sources.named(object, 'secret'))).toEqual([]);
  await reconciler.reconcile(`default/${name}`);
  const { status } = await platform.get<FissionFunction>(RESOURCES.functions, name);
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  expect(ready?.status).toBe('False');
  expect(ready?.message).toContain('it holds keys of the platform; name a Secret of your own');
  expect(told).toEqual([]);
});
