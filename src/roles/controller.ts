/**
 * `fissium controller`: the one of several replicas that holds the lease reconciles the cluster; all of them answer
 * metrics and health.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';
import { Preparer } from '../../runtimes/wasm/prepare/index.ts';
import { requestSigner } from '../auth/request-signer.ts';
import { ControllerListener } from '../control/cluster/controller-listener.ts';
import { PodBuilder } from '../builders/index.ts';
import {
  type ClusterControl,
  startClusterControl,
  type StrategyContext,
} from '../control/cluster/cluster-control.ts';
import type { StrategyKey } from '../control/cluster/function-facts.ts';
import { namedByFunctions } from '../control/cluster/host-access-sources.ts';
import { createScaledStrategies } from '../executors/deployments/index.ts';
import { PoolManager } from '../executors/poolmgr/index.ts';
import { hostCallSigners } from '../auth/host-calls.ts';
import { fetcherKeyEnv, hostKeyEnv, POD_NAMESPACE_ENV } from '../executors/pods/auth-keys.ts';
import { storageSigner } from '../fetcher/download.ts';
import { RouterLoads } from '../executors/router-loads.ts';
import type { Strategy } from '../executors/strategy.ts';
import { HOST_SERVICE_ACCOUNT, HostAccess, WasmHostsStrategy } from '../executors/wasm-hosts/index.ts';
import { KubeClient, LeaderElection, loadKubeConfig } from '../kube/index.ts';
import { type MetricsApi, startMetricsApi } from '../metrics-api/index.ts';
import { createMetrics } from '../observe/index.ts';
import { ArchiveFetcher, ArchiveStore } from '../packages/index.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import { INTERNAL_SERVICE } from './router.ts';
import { onStopSignal } from './stop-signal.ts';

const HOST = '0.0.0.0';
const PORT = 8080;
/** By which Kubernetes reaches the server of custom metrics of any replica. */
const METRICS_SERVICE = { name: 'executor', port: 8443 };
/** Where builders take what they built. */
const STORAGE_SERVICE = 'storagesvc';
const REGISTER_EVERY_MS = 60_000;

export interface ControllerRoleOptions {
  readonly settings: ClusterSettings;
}

/** Runs the controller until it is told to stop, or loses the lease; resolves when everything is closed. */
export async function runController({ settings }: ControllerRoleOptions): Promise<void> {
  const stopped = onStopSignal();
  const logger = pino({ level: settings.logLevel }, pino.destination({ fd: 2, sync: true }));
  await using parts = new AsyncDisposableStack();
  const client = new KubeClient(await loadKubeConfig());
  parts.defer(() => client.close());
  const metrics = createMetrics();
  parts.defer(() => metrics.close());
  const { namespace } = settings;
  const loads = new RouterLoads({
    client,
    logger,
    namespace,
    service: INTERNAL_SERVICE,
    sign: requestSigner('router-internal', settings.auth.current),
  });
  loads.start();
  parts.defer(() => loads.close());

  let control: ClusterControl | null = null;
  let ready = false;
  const listener = new ControllerListener({
    logger,
    metrics,
    ready: () => ready,
    auth: settings.auth,
    demand: () => control && ((report) => control?.demand(report) ?? Promise.resolve()),
  });
  const port = await listener.listen(HOST, PORT);
  parts.defer(() => listener.close());
  await loads.synced();
  const metricsApi = await startCustomMetrics({ client, logger, settings, loads, parts });
  ready = true;

  const election = new LeaderElection({
    client,
    logger,
    namespace,
    identity: settings.podName,
    address: `http://${settings.podIp}:${port}`,
  });
  // Given back when everything that writes is closed.
  parts.defer(() => election.close());
  const leading = election.acquire().then(
    () => true,
    () => false,
  );
  if (!(await Promise.race([leading, stopped.then(() => false)]))) return;
  await registerCustomMetrics(metricsApi, logger, parts);
  control = await lead({ client, logger, settings, loads, parts, metricsApi });
  const lost = election.lost().then(() => true);
  if (await Promise.race([lost, stopped.then(() => false)])) {
    // Whatever is under way must not be written beside another leader's.
    logger.fatal('the lease was lost: this process ends, and another takes its place');
    process.exit(1);
  }
  control = null;
}

interface Leading {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly settings: ClusterSettings;
  readonly loads: RouterLoads;
  readonly parts: AsyncDisposableStack;
  /** null where it cannot be served. */
  readonly metricsApi: MetricsApi | null;
}

/** Custom metrics are of use to autoscalers alone: without them the rest goes on, and functions scale without. */
async function startCustomMetrics({
  client,
  logger,
  settings,
  loads,
  parts,
}: Omit<Leading, 'metricsApi'>): Promise<MetricsApi | null> {
  const { namespace, namespaces, customMetrics } = settings;
  if (!customMetrics) return null;
  try {
    const started = await startMetricsApi({
      client,
      logger,
      loads,
      namespaces,
      readLoads: () => loads.read(),
      service: { namespace, ...METRICS_SERVICE },
    });
    parts.defer(() => started.close());
    return started.api;
  } catch (error) {
    logger.warn({ err: error }, 'custom metrics cannot be served');
    return null;
  }
}

/** Resolves when Kubernetes has been told once, and keeps telling it. */
async function registerCustomMetrics(
  metricsApi: MetricsApi | null,
  logger: Logger,
  parts: AsyncDisposableStack,
): Promise<void> {
  if (metricsApi === null) return;
  const register = async (): Promise<void> => {
    try {
      await metricsApi.keepRegistered();
    } catch (error) {
      logger.warn({ err: error }, 'custom metrics could not be registered');
    }
  };
  await register();
  const timer = setInterval(() => void register(), REGISTER_EVERY_MS);
  parts.defer(() => clearInterval(timer));
}

async function lead({
  client,
  logger,
  settings,
  loads,
  parts,
  metricsApi,
}: Leading): Promise<ClusterControl> {
  const { namespaces, auth } = settings;
  const signStorage = storageSigner({ FISSION_INTERNAL_AUTH_SECRET: auth.current ?? undefined }, '');
  const folder = await mkdtemp(join(tmpdir(), 'fissium-controller-'));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const archives = await ArchiveStore.open(join(folder, 'archives'));
  const preparer = new Preparer({ cacheDir: join(folder, 'cache'), logger });
  parts.defer(() => preparer.close());
  const builder = await PodBuilder.start({
    client,
    logger,
    namespaces,
    image: settings.image,
    authSecret: settings.auth.current,
    storageUrl: `http://${STORAGE_SERVICE}.${settings.namespace}`,
  });
  parts.defer(() => builder.close());
  const control = await startClusterControl({
    builder,
    client,
    logger,
    controlNamespace: settings.namespace,
    namespaces,
    archives,
    // The storage service is another pod.
    fetcher: new ArchiveFetcher({ archives, ownHosts: [], sign: signStorage }),
    preparer,
    loads,
    makeStrategies: (context) =>
      makeStrategies(context, { client, logger, settings, loads, parts, metricsApi }),
  });
  parts.defer(() => control.close());
  return control;
}

async function makeStrategies(
  { watched, events, onChange }: StrategyContext,
  { client, logger, settings, loads, parts, metricsApi }: Leading,
): Promise<Readonly<Record<StrategyKey, Strategy>>> {
  const { namespaces, image } = settings;
  const common = { client, logger, loads, events, namespaces, image, onChange };
  const { current: authSecret } = settings.auth;
  const access = new HostAccess({ client, auth: settings.auth, ...namedByFunctions(watched) });
  const hostEnv = hostKeyEnv(settings.auth, settings.checksHostCalls);
  const signerOf = hostCallSigners(settings.auth);
  const scaled = createScaledStrategies({
    ...common,
    hostServiceAccount: HOST_SERVICE_ACCOUNT,
    hostEnv,
    fetcherEnv: authSecret === null ? [] : [...fetcherKeyEnv(authSecret), POD_NAMESPACE_ENV],
    customMetrics: () => metricsApi?.isRegistered ?? false,
  });
  parts.defer(() => scaled.close());
  return {
    'wasm-hosts': new WasmHostsStrategy({
      ...common,
      access,
      hostEnv,
      signerOf,
      controlNamespace: settings.namespace,
    }),
    poolmgr: await PoolManager.start({ ...common, authSecret }),
    newdeploy: withHostAccess(scaled.newdeploy, access),
    container: scaled.container,
  };
}

/** A function's own Wasm hosts read what it names, as those of a pool do. */
function withHostAccess(strategy: Strategy, access: HostAccess): Strategy {
  return {
    reconcile: async (fn) => {
      const environment = fn.environment?.resolved;
      if (environment?.wasm === true) await access.ensure(fn.resolved.namespace, environment);
      else await access.ensureKeys(fn.resolved.namespace);
      return strategy.reconcile(fn);
    },
    demand: (fn, demand) => strategy.demand(fn, demand),
    remove: (fn) => strategy.remove(fn),
    tick: () => strategy.tick(),
    close: () => strategy.close(),
  };
}
