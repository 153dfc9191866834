/** What the controller that leads does: reconciles every kind, and gives strategies their turn each second. */
import type { Logger } from 'pino';

import type { Builder } from '../../builders/index.ts';
import type { RouterLoads } from '../../executors/router-loads.ts';
import type { Strategy } from '../../executors/strategy.ts';
import {
  EventRecorder,
  type Events,
  type KubeClient,
  type KubeObject,
  keyOf,
  splitKey,
} from '../../kube/index.ts';
import type { ArchiveFetcher, ArchiveStore } from '../../packages/index.ts';
import { FunctionTable, RouteTable } from '../../router/index.ts';
import type { DemandReport } from '../../router/cluster/demand.ts';
import type { ReconcilerContext } from '../context.ts';
import { EnvironmentReconciler } from '../environment/reconciler.ts';
import { Exposures } from '../exposure/exposures.ts';
import { OwnedRoutes } from '../function/owned-routes.ts';
import { TriggerReconciler } from '../http-trigger/reconciler.ts';
import { PackageBuilds } from '../package/builds.ts';
import { onPackageChange } from '../package/on-change.ts';
import { PackageStates } from '../package/package-states.ts';
import { PackageReconciler } from '../package/reconciler.ts';
import { Patience } from '../patience.ts';
import type { PreparerPort } from '../ports.ts';
import { onDataChange, onSpecChange } from '../spec-change.ts';
import { environmentOf } from '../resolutions.ts';
import { StatusWriter } from '../status.ts';
import { UnservedTriggerReconciler } from '../unserved-trigger/reconciler.ts';
import { allKinds, type Watched, watchEverything } from '../watched.ts';
import { WorkQueue } from '../work-queue.ts';
import type { StrategyKey } from './function-facts.ts';
import { ClusterFunctionReconciler } from './function-reconciler.ts';

/** What strategies are made with. */
export interface StrategyContext {
  readonly watched: Watched;
  readonly events: Events;
  /** Has a function (`namespace/name`) reconciled again. */
  readonly onChange: (functionKey: string) => void;
}

export interface ClusterControlOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Where routers and controllers are; Ingresses of triggers are made there. */
  readonly controlNamespace: string;
  /** Empty for all. */
  readonly namespaces: readonly string[];
  readonly archives: ArchiveStore;
  readonly fetcher: ArchiveFetcher;
  readonly preparer: PreparerPort;
  readonly loads: RouterLoads;
  /** Builds packages from source. @default they wait for one */
  readonly builder?: Builder;
  /** Each is closed with the control. */
  readonly makeStrategies: (context: StrategyContext) => Promise<Readonly<Record<StrategyKey, Strategy>>>;
}

export interface ClusterControl {
  /** Resolves when everything that was there at the start was reconciled once. */
  synced(): Promise<void>;
  /** What a router wants. */
  demand(report: DemandReport): Promise<void>;
  close(): Promise<void>;
}

const TICK_MS = 1_000;
/** How often what was made outside is compared with what is wanted. */
const SWEEP_MS = 60_000;
/** They run in pods, and wait here: an environment whose builder does not start is not to hold up others. */
const BUILDS_AT_ONCE = 256;

export async function startClusterControl(options: ClusterControlOptions): Promise<ClusterControl> {
  const { client, logger, loads } = options;
  const namespaces = options.namespaces.length === 0 ? undefined : options.namespaces;
  const events = new EventRecorder({ client, component: 'fissium', logger });
  const watched = watchEverything(client, logger, namespaces);
  const context: ReconcilerContext = {
    client,
    statuses: new StatusWriter(client),
    events,
    watched,
    logger,
    now: () => new Date(),
    platform: 'cluster',
  };
  const queue = (
    name: string,
    concurrency: number,
    reconcile: (key: string, signal: AbortSignal) => Promise<void>,
  ): WorkQueue => new WorkQueue({ name, concurrency, reconcile, logger });

  const strategies = await options.makeStrategies({
    watched,
    events,
    onChange: (key) => functions.add(key),
  });
  const states = new PackageStates((key) => {
    for (const fn of watched.functions.byIndex('package', key)) functions.add(keyOf(fn));
  });
  // Nobody is served from these tables: they are what triggers are judged by.
  const table = new FunctionTable();
  const routes = new RouteTable();
  const functionReconciler = new ClusterFunctionReconciler({
    context,
    packageStates: states,
    strategies,
    routes: new OwnedRoutes(context),
    patience: new Patience((key) => functions.add(key)),
    table,
    onTableChange: (key) => {
      for (const trigger of watched.triggers.byIndex('function', key)) triggers.add(keyOf(trigger));
    },
    again: (key) => functions.add(key),
  });
  const { builder } = options;
  const builds =
    builder &&
    new PackageBuilds({
      builder,
      logger,
      onChange: (key) => packages.add(key),
      concurrency: BUILDS_AT_ONCE,
    });
  const packageReconciler = new PackageReconciler({
    ...options,
    context,
    states,
    ...(builds === undefined ? {} : { builds }),
  });
  const environmentReconciler = new EnvironmentReconciler(context, 'pods');
  const exposures = new Exposures({
    client,
    logger,
    controlNamespace: options.controlNamespace,
    exists: (key) =>
      watched.triggers.covers(splitKey(key).namespace) ? watched.triggers.getByKey(key) !== undefined : null,
    again: (key) => triggers.add(key),
  });
  const triggerReconciler = new TriggerReconciler({
    context,
    exposures,
    functions: table,
    routes,
    patience: new Patience((key) => triggers.add(key)),
  });
  const unserved = [
    new UnservedTriggerReconciler(context, 'TimeTrigger', watched.timeTriggers),
    new UnservedTriggerReconciler(context, 'MessageQueueTrigger', watched.queueTriggers),
    new UnservedTriggerReconciler(context, 'KubernetesWatchTrigger', watched.watchTriggers),
  ] as const;

  const environments = queue('environment-queue', 4, async (key) => {
    await environmentReconciler.reconcile(key);
    const object = watched.environments.getByKey(key);
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) return;
    const resolved = environmentOf(object);
    if (!resolved.ok) return;
    const strategy = strategies[resolved.value.wasm ? 'wasm-hosts' : 'poolmgr'];
    // Both are tried, whichever fails.
    await Promise.all([
      strategy.reconcileEnvironment?.({ object, resolved: resolved.value }),
      builder?.reconcileEnvironment?.(object),
    ]);
  });
  const packages = queue('package-queue', 8, (key, signal) => packageReconciler.reconcile(key, signal));
  const functions = queue('function-queue', 16, (key) => functionReconciler.reconcile(key));
  const triggers = queue('trigger-queue', 8, (key) => triggerReconciler.reconcile(key));
  const timeTriggers = queue('time-trigger-queue', 2, (key) => unserved[0].reconcile(key));
  const queueTriggers = queue('message-queue-trigger-queue', 2, (key) => unserved[1].reconcile(key));
  const watchTriggers = queue('watch-trigger-queue', 2, (key) => unserved[2].reconcile(key));
  const queues = [environments, packages, functions, triggers, timeTriggers, queueTriggers, watchTriggers];

  routes.onConflictsChanged((conflicting) => {
    for (const { namespace, name } of conflicting) triggers.add(`${namespace}/${name}`);
  });
  const dispatch = (): void => {
    onSpecChange(watched.environments, (environment) => {
      const key = keyOf(environment);
      environments.add(key);
      for (const pkg of watched.packages.byIndex('environment', key)) packages.add(keyOf(pkg));
      for (const fn of watched.functions.byIndex('environment', key)) functions.add(keyOf(fn));
    });
    onPackageChange(watched.packages, (pkg) => packages.add(keyOf(pkg)));
    onSpecChange(watched.functions, (fn) => functions.add(keyOf(fn)));
    onSpecChange(watched.triggers, (trigger, change) => {
      const key = keyOf(trigger);
      triggers.add(key);
      const concernsFunction = change !== 'add' || trigger.metadata.ownerReferences !== undefined;
      if (concernsFunction && watched.functions.getByKey(key) !== undefined) functions.add(key);
    });
    onSpecChange(watched.timeTriggers, (trigger) => timeTriggers.add(keyOf(trigger)));
    onSpecChange(watched.queueTriggers, (trigger) => queueTriggers.add(keyOf(trigger)));
    onSpecChange(watched.watchTriggers, (trigger) => watchTriggers.add(keyOf(trigger)));
    const readersOf = (index: 'secret' | 'configMap') => (object: KubeObject) => {
      for (const fn of watched.functions.byIndex(index, keyOf(object))) functions.add(keyOf(fn));
    };
    onDataChange(watched.secrets, readersOf('secret'));
    onDataChange(watched.configMaps, readersOf('configMap'));
  };

  let closed = false;
  let timer: NodeJS.Timeout | null = null;
  const tick = async (): Promise<void> => {
    await loads.read();
    const results = await Promise.allSettled(Object.values(strategies).map((strategy) => strategy.tick()));
    for (const result of results)
      if (result.status === 'rejected' && !closed)
        logger.warn({ err: result.reason }, 'scaling failed, will try again');
  };
  const ticking = { now: Promise.resolve() };
  const schedule = (): void => {
    if (closed) return;
    timer = setTimeout(() => {
      ticking.now = tick()
        .catch((err: unknown) => logger.warn({ err }, "the routers' loads could not be read"))
        .finally(schedule);
    }, TICK_MS);
  };

  const sweep = async (): Promise<void> => {
    try {
      await exposures.sweep();
    } catch (error) {
      if (!closed) logger.warn({ err: error }, 'what shows triggers outside could not be looked at');
    }
  };
  const sweeping = setInterval(() => void sweep(), SWEEP_MS);

  for (const kind of allKinds(watched)) kind.start();
  const started = (async () => {
    await Promise.all(allKinds(watched).map((kind) => kind.synced()));
    await sweep();
    dispatch();
    await packages.settled(watched.packages.keys());
    await functions.settled(watched.functions.keys());
    await triggers.settled(watched.triggers.keys());
  })();
  started.then(schedule, () => {});

  return {
    synced: () => started,
    demand: async (report) => {
      await Promise.all(
        report.functions.map(({ namespace, name, uid, running, queued }) =>
          functionReconciler.demand(`${namespace}/${name}`, uid, { running, queued }),
        ),
      );
    },
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      clearInterval(sweeping);
      await ticking.now;
      functionReconciler.close();
      await Promise.all(allKinds(watched).map((kind) => kind.close()));
      await Promise.all(queues.map((each) => each.close()));
      await builds?.close();
      await Promise.all(Object.values(strategies).map((strategy) => strategy.close()));
      await events.close();
    },
  };
}
