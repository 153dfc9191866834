/** Starts the reconcilers and says which change concerns which of them. */
import type { Logger } from 'pino';

import type { FissionFunction } from '../api/index.ts';
import type { Builder } from '../builders/index.ts';
import { EventRecorder, keyOf, objectKey, type KubeClient, type KubeObject } from '../kube/index.ts';
import { ArchiveFetcher, type ArchiveStore } from '../packages/index.ts';
import type { ReconcilerContext } from './context.ts';
import { EnvironmentReconciler } from './environment/reconciler.ts';
import { Deployments } from './function/deployments.ts';
import { OwnedRoutes } from './function/owned-routes.ts';
import { FunctionReconciler } from './function/reconciler.ts';
import { TriggerReconciler } from './http-trigger/reconciler.ts';
import { archivesInUse } from './package/archives-in-use.ts';
import { PackageBuilds } from './package/builds.ts';
import { onPackageChange } from './package/on-change.ts';
import { PackageStates } from './package/package-states.ts';
import { PackageReconciler } from './package/reconciler.ts';
import type {
  Clock,
  FunctionTablePort,
  GuestLogPort,
  HostPort,
  PreparerPort,
  ProcessPort,
  RouteTablePort,
} from './ports.ts';
import { Patience } from './patience.ts';
import { functionOf } from './resolutions.ts';
import { onDataChange, onSpecChange } from './spec-change.ts';
import { StatusWriter } from './status.ts';
import { UnservedTriggerReconciler } from './unserved-trigger/reconciler.ts';
import { allKinds, watchEverything, type Watched } from './watched.ts';
import { WorkQueue } from './work-queue.ts';

export interface ControlOptions {
  readonly client: KubeClient;
  readonly functions: FunctionTablePort;
  readonly routes: RouteTablePort;
  readonly host: HostPort;
  readonly preparer: PreparerPort;
  readonly archives: ArchiveStore;
  readonly logger: Logger;
  /** Where guests' output goes. @default nowhere */
  readonly logs?: GuestLogPort;
  /** Runs functions of container environments. @default they are kept and answer 501 */
  readonly processes?: ProcessPort;
  /** Resolves when what was changed in the tables until then is served by every listener. @default at once */
  readonly served?: () => Promise<void>;
  /** Builds packages from source. @default they wait for another process that does */
  readonly builder?: Builder;
  /** Functions (`namespace/name`) that are to be served before the others that are there at the start. @default none */
  readonly first?: readonly string[];
  /** @default all namespaces */
  readonly namespaces?: readonly string[];
  /** @default one over the archive store */
  readonly fetcher?: ArchiveFetcher;
  readonly now?: Clock;
}

export interface Control {
  /**
   * Resolves when every object that existed at the start was reconciled once: what could be served then is. Rejects
   * when the control is closed before.
   */
  synced(): Promise<void>;
  /** The Packages (`namespace/name`) that name an archive. */
  archiveUsers(digest: string): string[];
  /**
   * The digests of all archives that Packages need. Rejects before all are known.
   * @param graceMs how long what was fetched for packages that are gone is kept
   */
  archivesInUse(graceMs: number): Promise<Set<string>>;
  /** Ends the watches and waits for what is being reconciled. What is deployed goes on serving. */
  close(): Promise<void>;
}

interface Queues {
  readonly environments: WorkQueue;
  readonly packages: WorkQueue;
  readonly functions: WorkQueue;
  readonly triggers: WorkQueue;
  readonly timeTriggers: WorkQueue;
  readonly queueTriggers: WorkQueue;
  readonly watchTriggers: WorkQueue;
}

/** Starts watching and reconciling; returns at once, also while the API server is not there yet. */
export function startControl(options: ControlOptions): Promise<Control> {
  const { client, logger, namespaces, routes } = options;
  const events = new EventRecorder({ client, component: 'fissium', logger });
  const watched = watchEverything(client, logger, namespaces);
  const context: ReconcilerContext = {
    client,
    statuses: new StatusWriter(client, options.served),
    events,
    watched,
    logger,
    now: options.now ?? (() => new Date()),
    platform: 'one-process',
  };
  const { builder } = options;
  const builds =
    builder && new PackageBuilds({ builder, logger, onChange: (key) => queues.packages.add(key) });
  const queues: Queues = makeQueues(options, context, builds);
  const stopListening = routes.onConflictsChanged((triggers) => {
    for (const { namespace, name } of triggers) queues.triggers.add(`${namespace}/${name}`);
  });

  for (const kind of allKinds(watched)) kind.start();
  const started = (async () => {
    // A function must not be told that its secret is missing because secrets are listed last.
    await Promise.all(allKinds(watched).map((kind) => kind.synced()));
    const initial = {
      packages: watched.packages.keys(),
      functions: watched.functions.keys(),
      triggers: watched.triggers.keys(),
    };
    prefer(options.first ?? [], watched, queues);
    dispatchChanges(watched, queues);
    // In this order each waits for the one before: a function is settled only after its package is.
    await queues.packages.settled(initial.packages);
    await queues.functions.settled(initial.functions);
    await queues.triggers.settled(initial.triggers);
    for (const queue of Object.values(queues)) (queue as WorkQueue).preferNone();
  })();
  started.catch(() => {});

  return Promise.resolve({
    synced: () => started,
    archiveUsers: (digest) => watched.packages.byIndex('archive', digest).map(keyOf),
    async archivesInUse(graceMs) {
      await started;
      const packages = watched.packages.keys().map((key) => watched.packages.getByKey(key));
      const there = packages.filter((pkg) => pkg !== undefined);
      return archivesInUse(there, options.archives, graceMs);
    },
    async close() {
      stopListening();
      await Promise.all(allKinds(watched).map((kind) => kind.close()));
      await Promise.all(Object.values(queues).map((queue: WorkQueue) => queue.close()));
      await builds?.close();
      await events.close();
    },
  });
}

function makeQueues(
  options: ControlOptions,
  context: ReconcilerContext,
  builds: PackageBuilds | undefined,
): Queues {
  const { logger } = context;
  const { archives, preparer, host, logs, functions: table, routes } = options;
  const { watched } = context;
  const states = new PackageStates((key) => {
    for (const fn of watched.functions.byIndex('package', key)) queues.functions.add(keyOf(fn));
  });
  const environments = new EnvironmentReconciler(
    context,
    options.processes === undefined ? 'none' : 'processes',
  );
  const packages = new PackageReconciler({
    context,
    states,
    archives,
    preparer,
    fetcher: options.fetcher ?? new ArchiveFetcher({ archives }),
    ...(builds === undefined ? {} : { builds }),
  });
  const functions = new FunctionReconciler({
    context,
    packageStates: states,
    deployments: new Deployments({ host, logs, logger }),
    processes: options.processes,
    logs,
    table,
    patience: new Patience((key) => queues.functions.add(key)),
    routes: new OwnedRoutes(context),
    onTableChange: (key) => {
      for (const trigger of watched.triggers.byIndex('function', key)) queues.triggers.add(keyOf(trigger));
    },
  });
  const triggers = new TriggerReconciler({
    context,
    functions: table,
    routes,
    patience: new Patience((key) => queues.triggers.add(key)),
  });

  const timeTriggers = new UnservedTriggerReconciler(context, 'TimeTrigger', watched.timeTriggers);
  const queueTriggers = new UnservedTriggerReconciler(context, 'MessageQueueTrigger', watched.queueTriggers);
  const watchTriggers = new UnservedTriggerReconciler(
    context,
    'KubernetesWatchTrigger',
    watched.watchTriggers,
  );

  const queue = (
    name: string,
    concurrency: number,
    reconcile: (key: string, signal: AbortSignal) => Promise<void>,
  ): WorkQueue => new WorkQueue({ name, concurrency, reconcile, logger });
  const queues: Queues = {
    environments: queue('environment-queue', 2, (key) => environments.reconcile(key)),
    // Downloads wait for others; prepare itself is one thread that takes them in turn.
    packages: queue('package-queue', 8, (key, signal) => packages.reconcile(key, signal)),
    functions: queue('function-queue', 8, (key) => functions.reconcile(key)),
    triggers: queue('trigger-queue', 8, (key) => triggers.reconcile(key)),
    timeTriggers: queue('time-trigger-queue', 2, (key) => timeTriggers.reconcile(key)),
    queueTriggers: queue('message-queue-trigger-queue', 2, (key) => queueTriggers.reconcile(key)),
    watchTriggers: queue('watch-trigger-queue', 2, (key) => watchTriggers.reconcile(key)),
  };
  return queues;
}

/** They may come again and again until their package and what else they wait for is there: each time before the rest. */
function prefer(first: readonly string[], watched: Watched, queues: Queues): void {
  for (const key of first) {
    const fn = watched.functions.getByKey(key);
    if (!fn) continue;
    const pkg = packageOf(fn);
    if (pkg !== null) queues.packages.prefer(pkg);
    queues.functions.prefer(key);
    for (const trigger of watched.triggers.byIndex('function', key)) queues.triggers.prefer(keyOf(trigger));
  }
}

/** The Package (`namespace/name`) that a function names, or null. */
function packageOf(fn: FissionFunction): string | null {
  const resolved = functionOf(fn);
  if (!resolved.ok || resolved.value.package === null) return null;
  return objectKey(resolved.value.package.namespace, resolved.value.package.name);
}

/** Each change goes to the objects that it concerns, found by index: the cost does not grow with their number. */
function dispatchChanges(watched: Watched, queues: Queues): void {
  onSpecChange(watched.environments, (environment) => {
    const key = keyOf(environment);
    queues.environments.add(key);
    for (const pkg of watched.packages.byIndex('environment', key)) queues.packages.add(keyOf(pkg));
    for (const fn of watched.functions.byIndex('environment', key)) queues.functions.add(keyOf(fn));
  });
  onPackageChange(watched.packages, (pkg) => queues.packages.add(keyOf(pkg)));
  onSpecChange(watched.functions, (fn) => queues.functions.add(keyOf(fn)));
  onSpecChange(watched.triggers, (trigger, change) => {
    const key = keyOf(trigger);
    queues.triggers.add(key);
    // The short form's trigger has its function's name. What somebody did to it is put right, and one that was
    // made just as the function lost its route is found when the watch brings it.
    const concernsFunction = change !== 'add' || trigger.metadata.ownerReferences !== undefined;
    if (concernsFunction && watched.functions.getByKey(key) !== undefined) queues.functions.add(key);
  });
  onSpecChange(watched.timeTriggers, (trigger) => queues.timeTriggers.add(keyOf(trigger)));
  onSpecChange(watched.queueTriggers, (trigger) => queues.queueTriggers.add(keyOf(trigger)));
  onSpecChange(watched.watchTriggers, (trigger) => queues.watchTriggers.add(keyOf(trigger)));
  const readersOf = (index: 'secret' | 'configMap') => (object: KubeObject) => {
    for (const fn of watched.functions.byIndex(index, keyOf(object))) queues.functions.add(keyOf(fn));
  };
  onDataChange(watched.secrets, readersOf('secret'));
  onDataChange(watched.configMaps, readersOf('configMap'));
}
