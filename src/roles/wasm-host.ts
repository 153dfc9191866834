/**
 * `fissium wasm-host`: runs the Wasm functions of one environment and namespace, for routers that call them by name.
 * In a pod; its folder may be lost with it.
 */
import { join } from 'node:path';
import { pino } from 'pino';
import { WasmHost } from '../../runtimes/wasm/host.ts';
import { Preparer } from '../../runtimes/wasm/prepare/index.ts';
import { hostCallCheck } from '../auth/host-calls.ts';
import { clientVersion } from '../cli/client-version.ts';
import { deployedReport } from '../control/host/deployed.ts';
import { startHostControl } from '../control/host/host-control.ts';
import { KubeClient, loadKubeConfig } from '../kube/index.ts';
import { createMetrics, LogStore } from '../observe/index.ts';
import { ArchiveFetcher, ArchiveStore } from '../packages/index.ts';
import {
  createCallServices,
  createInternalListener,
  FunctionTable,
  ListenerThreads,
  routeByName,
  RouteTable,
  SharedCounts,
} from '../router/index.ts';
import type { WasmHostSettings } from './cluster-settings.ts';
import { guestLogs } from './guest-logs.ts';
import { onStopSignal } from './stop-signal.ts';

const HOST = '0.0.0.0';
const CALLS_PORT = 8888;
const INTERNAL_PORT = 8889;
/** How long requests in flight may take to finish once the pod is told to stop. */
const DRAIN_MS = 30_000;

export interface WasmHostOptions {
  readonly settings: WasmHostSettings;
  readonly threads: number;
  readonly host?: string;
  readonly port?: number;
  readonly internalPort?: number;
}

/** Runs the host until it is told to stop; resolves when everything is closed. */
export async function runWasmHost(options: WasmHostOptions): Promise<void> {
  const { settings, threads } = options;
  const stopped = onStopSignal();
  const logger = pino({ level: settings.logLevel }, pino.destination({ fd: 2, sync: true }));
  await using parts = new AsyncDisposableStack();
  const client = new KubeClient(await loadKubeConfig());
  parts.defer(() => client.close());
  const { dataFolder } = settings;
  const archives = await ArchiveStore.open(join(dataFolder, 'archives'));
  const store = new LogStore({ folder: join(dataFolder, 'logs') });
  parts.defer(() => store.close());
  const logs = guestLogs(store);
  const metrics = createMetrics();
  parts.defer(() => metrics.close());
  const preparer = new Preparer({ cacheDir: join(dataFolder, 'cache'), logger });
  parts.defer(() => preparer.close());
  const functions = new FunctionTable();
  const routes = new RouteTable();
  parts.defer(routeByName(functions, routes));
  const counts = new SharedCounts();
  const version = clientVersion();
  const listeners = new ListenerThreads({
    functions,
    routes,
    counts,
    metrics,
    logs,
    logger,
    version,
    fromRouters: true,
    callKeys: settings.callKeys,
  });
  const host = await WasmHost.start({ threads, logger, listeners });
  parts.defer(() => host.close());
  metrics.addSource({ instances: () => host.instances(), routes: () => routes.size });
  const { slots } = listeners;
  const calls = createCallServices({ functions, counts, slotOf: slots.of, metrics, logs, logger });
  parts.defer(() => calls.close());

  const control = startHostControl({
    ...settings,
    client,
    functions,
    host,
    preparer,
    archives,
    // The storage service is another pod here.
    fetcher: new ArchiveFetcher({ archives, ownHosts: [], sign: settings.signStorage }),
    logs,
    logger,
  });
  parts.defer(() => control.close());
  let ready = false;
  const internal = createInternalListener({
    services: calls.services,
    metrics,
    logs: store,
    logger,
    version,
    ready: () => ready,
    mounts: { '/v1/deployed': deployedReport(control) },
    check: hostCallCheck(settings.callKeys),
  });
  const address = options.host ?? HOST;
  const internalPort = await internal.listen(address, options.internalPort ?? INTERNAL_PORT);
  parts.defer(() => internal.close({ graceMs: DRAIN_MS }));
  const port = await listeners.listen(address, options.port ?? CALLS_PORT);
  parts.defer(() => listeners.close({ graceMs: DRAIN_MS }));

  await Promise.race([control.synced(), stopped]);
  ready = true;
  listeners.ready = true;
  logger.info({ port, internalPort, environment: settings.environment }, 'the host is ready');
  await stopped;
  // The endpoint is taken away while the pod's preStop waits; what still comes is answered.
  ready = false;
  listeners.ready = false;
}
