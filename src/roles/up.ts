/**
 * `fissium up`: the whole platform in one process. Reads its options, builds the parts, hands them to each
 * other and starts them; every decision is made elsewhere.
 */
import { join } from 'node:path';
import { pino } from 'pino';
import { WasmHost } from '../../runtimes/wasm/host.ts';
import { Preparer } from '../../runtimes/wasm/prepare/index.ts';
import { LocalBuilder } from '../builders/index.ts';
import { startApiServerThread } from '../apiserver/index.ts';
import { ensureDefaults, startControl } from '../control/index.ts';
import { ProcessExecutor } from '../executors/process/index.ts';
import { KubeClient, loadKubeConfig } from '../kube/index.ts';
import { writeAddresses } from '../kube/listener-addresses.ts';
import { createMetrics, LogStore } from '../observe/index.ts';
import { ArchivePruner, ArchiveStore, createStorageHandler, FolderStorage } from '../packages/index.ts';
import {
  createCallServices,
  createInternalListener,
  FunctionTable,
  ListenerThreads,
  RouteTable,
  SharedCounts,
} from '../router/index.ts';
import { clientVersion } from '../cli/client-version.ts';
import { openDataDir } from './data-dir.ts';
import { deployExample, EXAMPLE_URL } from './example.ts';
import { onStopSignal } from './stop-signal.ts';

/** How long requests in flight may take to finish once the platform is told to stop. */
const DRAIN_MS = 30_000;
/** How long an archive is kept that no Package names. */
const PRUNE_GRACE_MS = 3_600_000;

export interface UpOptions {
  readonly dataDir: string;
  /** Address and port of the router; a port of 0 takes a free one (so for the others). */
  readonly host: string;
  readonly port: number;
  readonly internalHost: string;
  readonly internalPort: number;
  readonly apiHost: string;
  readonly apiPort: number;
  /** Threads that run functions. */
  readonly workers: number;
  /** Which engine runs components: `component` gives what it declines to jco's; `jco` is there to compare. */
  readonly engine: 'component' | 'jco';
  /** Whether packages that initialise themselves do so in each new instance, instead of once. @default false */
  readonly noSnapshot?: boolean;
  /** Deploy the example function and its route. */
  readonly example: boolean;
  readonly verbose: boolean;
}

/**
 * Runs the platform until it is told to stop; resolves when everything is closed.
 * @throws FissiumError DATA_DIR_IN_USE, or BAD_OPTION where a port or folder cannot be had
 */
export async function up(options: UpOptions): Promise<void> {
  const stopped = onStopSignal();
  // Whatever this process writes is its owner's alone.
  process.umask(0o077);
  const dataDir = openDataDir(options.dataDir);
  const logger = pino({ level: options.verbose ? 'debug' : 'warn' }, pino.destination({ fd: 2, sync: true }));
  // What is started is closed in the opposite order, also when a later part does not start.
  await using parts = new AsyncDisposableStack();
  parts.defer(() => dataDir.release());

  const version = clientVersion();
  const api = await startApiServerThread(
    {
      dataDir: dataDir.path,
      host: options.apiHost,
      port: options.apiPort,
      release: version,
      logLevel: logger.level,
      onFailure: (err) => {
        // Without its API the platform serves what it knows, but can learn nothing new: better started again.
        logger.fatal({ err }, 'the API server ended');
        process.exitCode = 1;
        process.kill(process.pid, 'SIGTERM');
      },
    },
    logger,
  );
  parts.defer(() => api.close());
  const client = new KubeClient(await loadKubeConfig(api.kubeconfigPath));
  parts.defer(() => client.close());

  const archives = await ArchiveStore.open(join(dataDir.path, 'archives'));
  const logs = new LogStore({
    folder: join(dataDir.path, 'logs'),
    onDropped: ({ cause, ...what }) =>
      logger.warn({ ...what, err: cause }, 'log lines of a function were dropped'),
  });
  parts.defer(() => logs.close());
  const metrics = createMetrics();
  parts.defer(() => metrics.close());
  const preparer = new Preparer({
    cacheDir: join(dataDir.path, 'cache'),
    logger,
    componentEngine: options.engine,
    snapshots: !options.noSnapshot,
  });
  parts.defer(() => preparer.close());
  const functions = new FunctionTable();
  const routes = new RouteTable();
  const counts = new SharedCounts();
  const router = new ListenerThreads({ functions, routes, counts, metrics, logs, logger, version });
  const host = await WasmHost.start({ threads: options.workers, logger, listeners: router });
  parts.defer(() => host.close());
  const processes = new ProcessExecutor({ folder: join(dataDir.path, 'processes'), logger });
  parts.defer(() => processes.close());
  metrics.addSource({ instances: () => host.instances(), routes: () => routes.size });

  let ready = false;
  const calls = createCallServices({ functions, counts, slotOf: router.slots.of, metrics, logs, logger });
  parts.defer(() => calls.close());
  const builder = new LocalBuilder({
    folder: join(dataDir.path, 'builds'),
    cacheFolder: join(dataDir.path, 'build-cache'),
    archives,
    logger,
  });
  // What reconciles is stopped only after the last request has been answered.
  const control = await startControl({
    client,
    functions,
    routes,
    host,
    preparer,
    processes,
    builder,
    archives,
    logs,
    logger,
    served: () => router.settled(),
  });
  parts.defer(() => control.close());
  const folder = new FolderStorage(archives);
  const pruner = new ArchivePruner({
    storage: folder,
    named: () => control.archivesInUse(PRUNE_GRACE_MS),
    logger,
    graceMs: PRUNE_GRACE_MS,
  });
  parts.defer(() => pruner.close());
  const storage = createStorageHandler({
    storage: folder,
    logger,
    usersOf: ({ name }) => control.archiveUsers(name),
  });
  const internal = createInternalListener({
    services: calls.services,
    metrics,
    logs,
    logger,
    version,
    ready: () => ready,
    mounts: { '/v1/archive': storage, '/v1/archives': storage },
  });
  const internalUrl = urlOf(
    options.internalHost,
    await internal.listen(options.internalHost, options.internalPort),
  );
  parts.defer(() => internal.close({ graceMs: DRAIN_MS }));
  const routerUrl = urlOf(options.host, await router.listen(options.host, options.port));
  parts.defer(() => router.close({ graceMs: DRAIN_MS }));
  api.setUpstreams({ router: routerUrl, 'router-internal': internalUrl, storagesvc: internalUrl });

  await ensureDefaults(client);
  await Promise.race([control.synced(), stopped]);
  pruner.start();
  if (options.example) await deployExample(client, stopped);
  ready = true;
  router.ready = true;
  await router.settled();
  writeAddresses(api.kubeconfigPath, { router: routerUrl, internal: internalUrl });
  announce(
    { router: routerUrl, internal: internalUrl, api: api.url, kubeconfig: api.kubeconfigPath },
    options,
  );
  await stopped;
  ready = false;
  router.ready = false;
}

/** The address to type into a client; an unspecified listening address is reached through loopback. */
function urlOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

interface Addresses {
  readonly router: string;
  readonly internal: string;
  readonly api: string;
  readonly kubeconfig: string;
}

/** One line for programs, then a few for people. */
function announce(addresses: Addresses, options: UpOptions): void {
  const { router, kubeconfig } = addresses;
  const lines = [
    `fissium ready ${JSON.stringify(addresses)}`,
    '',
    `  Functions   ${router}`,
    `  kubectl     export KUBECONFIG=${kubeconfig}`,
    options.example
      ? `  Try it      curl ${router}${EXAMPLE_URL}`
      : '  Deploy      fissium function create --name hello --code hello.wasm --env wasm',
    '',
  ];
  process.stdout.write(lines.join('\n'));
}
