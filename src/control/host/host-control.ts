/**
 * What a Wasm host serves: the functions of one namespace whose environment is the host's, as watches bring them. It
 * writes nothing; the controller that leads asks each host what became of its functions, and says so in their status.
 */
import type { Logger } from 'pino';

import type { FissionFunction, ObjectName, Package } from '../../api/index.ts';
import {
  type ConfigMap,
  type KubeClient,
  type KubeObject,
  keyOf,
  RESOURCES,
  type ResourceType,
  type Secret,
  SILENT_EVENTS,
} from '../../kube/index.ts';
import type { ArchiveFetcher, ArchiveStore } from '../../packages/index.ts';
import type { ReconcilerContext } from '../context.ts';
import { Deployments } from '../function/deployments.ts';
import { FunctionReconciler } from '../function/reconciler.ts';
import { NamedKind } from '../named-kind.ts';
import { onPackageChange } from '../package/on-change.ts';
import { PackageStates } from '../package/package-states.ts';
import { PackageReconciler } from '../package/reconciler.ts';
import { viewOf } from '../package/slim.ts';
import { Patience } from '../patience.ts';
import type { FunctionTablePort, GuestLogPort, HostPort, PreparerPort } from '../ports.ts';
import { functionOf } from '../resolutions.ts';
import { onDataChange, onSpecChange } from '../spec-change.ts';
import type { HostState } from './deployed.ts';
import { HostReadiness } from './readiness.ts';
import { RecordedStatuses } from './recorded-statuses.ts';
import {
  CONFIG_MAPS,
  ENVIRONMENTS,
  FUNCTIONS,
  InformedKind,
  PACKAGES,
  referencedKeys,
  SECRETS,
  type Watched,
  type WatchedKind,
} from '../watched.ts';
import { WorkQueue } from '../work-queue.ts';

export interface HostControlOptions {
  readonly client: KubeClient;
  /** Whose functions are served. */
  readonly namespace: string;
  /** The environment that they must name. */
  readonly environment: { readonly namespace: string; readonly name: string };
  /** The one function that a host of strategy `newdeploy` serves; null for all of strategy `poolmgr`. */
  readonly onlyFunction: string | null;
  readonly functions: FunctionTablePort;
  readonly host: HostPort;
  readonly preparer: PreparerPort;
  readonly archives: ArchiveStore;
  readonly fetcher: ArchiveFetcher;
  readonly logs?: GuestLogPort;
  readonly logger: Logger;
  /** How long {@link HostControl.synced} waits for what is ready elsewhere. @default 30000 */
  readonly readinessLimitMs?: number;
}

export interface HostControl extends HostState {
  /**
   * Resolves when everything that was there at the start is served, or known not to be: neither here nor, as its
   * status says, elsewhere. What only others serve is waited for within a limit.
   */
  synced(): Promise<void>;
  close(): Promise<void>;
}

export function startHostControl(options: HostControlOptions): HostControl {
  const { client, logger, namespace } = options;
  const kinds = watchForHost(options);
  const { watched, secrets, configMaps } = kinds;
  const statuses = new RecordedStatuses();
  const context: ReconcilerContext = {
    client,
    statuses,
    events: SILENT_EVENTS,
    watched,
    logger,
    now: () => new Date(),
    platform: 'cluster',
  };
  const states = new PackageStates((key) => {
    for (const fn of watched.functions.byIndex('package', key)) functions.add(keyOf(fn));
  });
  const readiness = new HostReadiness({
    functions: watched.functions,
    table: options.functions,
    logger,
    limitMs: options.readinessLimitMs,
  });
  const packageReconciler = new PackageReconciler({
    context,
    states,
    archives: options.archives,
    preparer: options.preparer,
    fetcher: options.fetcher,
  });
  const functionReconciler = new FunctionReconciler({
    context,
    packageStates: states,
    deployments: new Deployments({ host: options.host, logs: options.logs, logger }),
    processes: undefined,
    logs: options.logs,
    table: options.functions,
    patience: new Patience((key) => functions.add(key)),
    onTableChange: () => readiness.look(),
  });
  const packages = new WorkQueue({
    name: 'package-queue',
    concurrency: 8,
    reconcile: (key, signal) => packageReconciler.reconcile(key, signal),
    logger,
  });
  const functions = new WorkQueue({
    name: 'function-queue',
    concurrency: 8,
    reconcile: (key) => functionReconciler.reconcile(key),
    logger,
  });

  const wantGrants = (): void => {
    const wanted = { secret: new Set<string>(), configMap: new Set<string>() };
    for (const key of watched.functions.keys()) {
      const fn = watched.functions.getByKey(key);
      const resolved = fn && functionOf(fn);
      if (!resolved?.ok) continue;
      for (const kind of ['secret', 'configMap'] as const)
        for (const named of referencedKeys(resolved.value, kind)) wanted[kind].add(named);
    }
    secrets.want(wanted.secret);
    configMaps.want(wanted.configMap);
  };
  const readersOf = (index: 'secret' | 'configMap') => (object: KubeObject) => {
    for (const fn of watched.functions.byIndex(index, keyOf(object))) functions.add(keyOf(fn));
  };

  const used: Pick<WatchedKind<KubeObject>, 'start' | 'synced' | 'close'>[] = [
    watched.environments,
    watched.packages,
    watched.functions,
  ];
  for (const kind of used) kind.start();
  const started = (async () => {
    await Promise.all(used.map((kind) => kind.synced()));
    wantGrants();
    onSpecChange(watched.environments, () => {
      for (const key of watched.packages.keys()) packages.add(key);
      for (const key of watched.functions.keys()) functions.add(key);
    });
    onPackageChange(watched.packages, (pkg) => packages.add(keyOf(pkg)));
    onSpecChange(watched.functions, (fn) => {
      wantGrants();
      functions.add(keyOf(fn));
    });
    watched.functions.onChange({
      update: () => readiness.look(),
      delete: (fn) => {
        statuses.forget(fn);
        readiness.look();
      },
    });
    onDataChange(secrets, readersOf('secret'));
    onDataChange(configMaps, readersOf('configMap'));
    await packages.settled(watched.packages.keys());
    await functions.settled(watched.functions.keys());
    await readiness.served();
  })();
  started.catch(() => {});
  logger.debug({ namespace, environment: options.environment }, 'watching for functions');

  return {
    synced: () => started,
    functions: () =>
      watched.functions
        .keys()
        .map((key) => watched.functions.getByKey(key))
        .filter((fn) => fn !== undefined),
    statusOf: (fn) => statuses.of(fn),
    async close() {
      readiness.close();
      await Promise.all([...used, secrets, configMaps].map((kind) => kind.close()));
      await Promise.all([packages.close(), functions.close()]);
    },
  };
}

/** Only what the host's service account may read. */
function watchForHost({ client, logger, namespace, environment, onlyFunction }: HostControlOptions): {
  watched: Watched;
  secrets: NamedKind<Secret>;
  configMaps: NamedKind<ConfigMap>;
} {
  const isOurs = (named: ObjectName): boolean =>
    named.name === environment.name && named.namespace === environment.namespace;
  const keepFunction = (fn: FissionFunction): boolean => {
    const resolved = functionOf(fn);
    // One that cannot be read is reported by the controller.
    if (!resolved.ok || !isOurs(resolved.value.environment)) return false;
    const { strategy, name } = resolved.value;
    return onlyFunction === null ? strategy === 'poolmgr' : name === onlyFunction;
  };
  const keepPackage = (pkg: Package): boolean => {
    const view = viewOf(pkg);
    return view.ok && isOurs(view.value.environment);
  };
  const secrets = new NamedKind({ ...SECRETS, client, logger });
  const configMaps = new NamedKind({ ...CONFIG_MAPS, client, logger });
  /** Kinds that are nothing to a host. */
  const unread = <T extends KubeObject>(type: ResourceType) => new NamedKind<T>({ type, client, logger });
  const watched: Watched = {
    environments: new InformedKind(
      { ...ENVIRONMENTS, client, logger, fieldSelector: `metadata.name=${environment.name}` },
      [environment.namespace],
    ),
    packages: new InformedKind({ ...PACKAGES, client, logger, keep: keepPackage }, [namespace]),
    functions: new InformedKind({ ...FUNCTIONS, client, logger, keep: keepFunction }, [namespace]),
    secrets,
    configMaps,
    triggers: unread(RESOURCES.httptriggers),
    timeTriggers: unread(RESOURCES.timetriggers),
    queueTriggers: unread(RESOURCES.messagequeuetriggers),
    watchTriggers: unread(RESOURCES.kuberneteswatchtriggers),
  };
  return { watched, secrets, configMaps };
}
