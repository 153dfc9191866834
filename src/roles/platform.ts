/** The platform's parts: builds them, hands them to each other and starts them; every decision is made elsewhere. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { WasmHost } from '../../runtimes/wasm/host.ts';
import { Preparer } from '../../runtimes/wasm/prepare/index.ts';
import type { ApiServer } from '../apiserver/index.ts';
import { serviceVerifier } from '../auth/internal-auth.ts';
import { acceptedSecrets } from '../auth/request-signer.ts';
import { signatureGate } from '../auth/signature-gate.ts';
import { LocalBuilder } from '../builders/index.ts';
import { ensureDefaults, startControl } from '../control/index.ts';
import { ProcessExecutor } from '../executors/process/index.ts';
import { KubeClient, tokenConnection } from '../kube/index.ts';
import { writeAddresses } from '../kube/listener-addresses.ts';
import { createMetrics, LogStore } from '../observe/index.ts';
import { ArchivePruner, ArchiveStore, createStorageHandler, FolderStorage } from '../packages/index.ts';
import {
  createCallServices,
  createInternalListener,
  FunctionTable,
  ListenerThreads,
  RecentFunctions,
  RouteTable,
  SharedCounts,
} from '../router/index.ts';
import { deployExample, EXAMPLE_URL } from './example.ts';
import { warmUp } from './warm-up.ts';
import type { UpOptions } from './up.ts';

/** How long requests in flight may take to finish once the platform is told to stop. */
const DRAIN_MS = 30_000;
/** How long an archive is kept that no Package names. */
const PRUNE_GRACE_MS = 3_600_000;

export interface Starting {
  /** Absolute; its lock is held. */
  readonly dataDir: string;
  readonly api: Promise<ApiServer>;
  readonly logger: Logger;
  readonly version: string;
  /** Resolves when the platform is to stop. */
  readonly stopped: Promise<void>;
}

/** Runs the platform until it is told to stop; resolves when all parts but the API are closed. */
export async function runPlatform(options: UpOptions, starting: Starting): Promise<void> {
  const { dataDir, logger, version, stopped } = starting;
  await using parts = new AsyncDisposableStack();
  const archives = await ArchiveStore.open(join(dataDir, 'archives'));
  const logs = new LogStore({
    folder: join(dataDir, 'logs'),
    onDropped: ({ cause, ...what }) =>
      logger.warn({ ...what, err: cause }, 'log lines of a function were dropped'),
  });
  parts.defer(() => logs.close());
  const metrics = createMetrics();
  parts.defer(() => metrics.close());
  const preparer = new Preparer({
    cacheDir: join(dataDir, 'cache'),
    logger,
    componentEngine: options.engine,
    without: options.without ?? [],
  });
  parts.defer(() => preparer.close());
  const functions = new FunctionTable();
  const routes = new RouteTable();
  const counts = new SharedCounts();
  const router = new ListenerThreads({ functions, routes, counts, metrics, logs, logger, version });
  // Threads and the API start at the same time.
  const host = WasmHost.launch({ threads: options.workers, logger, listeners: router });
  parts.defer(() => host.close());
  const warm = warmUp({ preparer, host, router, logger });
  const processes = new ProcessExecutor({ folder: join(dataDir, 'processes'), logger });
  parts.defer(() => processes.close());
  metrics.addSource({ instances: () => host.instances(), routes: () => routes.size });

  const api = await starting.api;
  const { url: server, kubeconfigPath: source } = api;
  const client = new KubeClient(tokenConnection({ server, source, ...api.access }));
  parts.defer(() => client.close());

  let ready = false;
  let functionsKnown = false;
  const recent = new RecentFunctions({
    file: join(dataDir, 'served.json'),
    counts,
    functions,
    isComplete: () => functionsKnown,
    slotOf: router.slots.of,
    logger,
  });
  parts.defer(() => recent.close());
  const calls = createCallServices({ functions, counts, slotOf: router.slots.of, metrics, logs, logger });
  parts.defer(() => calls.close());
  const builder = new LocalBuilder({
    folder: join(dataDir, 'builds'),
    cacheFolder: join(dataDir, 'build-cache'),
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
    first: recent.keys,
  });
  parts.defer(() => control.close());
  void control.synced().then(
    () => (functionsKnown = true),
    // Closed before: then they never are.
    () => undefined,
  );
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
    verifier: serviceVerifier('storagesvc', acceptedSecrets(options.auth), { tenants: true }),
  });
  const internal = createInternalListener({
    services: calls.services,
    metrics,
    logs,
    logger,
    version,
    ready: () => ready,
    gate: signatureGate('router-internal', options.auth, 'the internal listener'),
    mounts: { '/v1/archive': storage, '/v1/archives': storage },
    ownGates: ['/v1/archive', '/v1/archives'],
  });
  const internalUrl = urlOf(
    options.internalHost,
    await internal.listen(options.internalHost, options.internalPort),
  );
  parts.defer(() => internal.close({ graceMs: DRAIN_MS }));
  const routerUrl = urlOf(options.host, await router.listen(options.host, options.port));
  parts.defer(() => router.close({ graceMs: DRAIN_MS }));
  api.setUpstreams({ router: routerUrl, 'router-internal': internalUrl, storagesvc: internalUrl });

  await Promise.race([Promise.all([host.ready(), warm, ensureDefaults(client), control.synced()]), stopped]);
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
