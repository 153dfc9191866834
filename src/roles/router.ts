/** `fissium router`: takes requests on a cluster and sends them to where their functions run. */
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { pino } from 'pino';
import { hostCallSigners } from '../auth/host-calls.ts';
import { requestSigner } from '../auth/request-signer.ts';
import { signatureGate } from '../auth/signature-gate.ts';
import { clientVersion } from '../cli/client-version.ts';
import { KubeClient, loadKubeConfig } from '../kube/index.ts';
import { createMetrics, LogStore } from '../observe/index.ts';
import { peersGuard } from '../router/cluster/peers.ts';
import { startRouterControl } from '../router/cluster/router-control.ts';
import {
  createInternalListener,
  createRouter,
  FunctionTable,
  routeByName,
  RouteTable,
} from '../router/index.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import { onStopSignal } from './stop-signal.ts';

const HOST = '0.0.0.0';
const PUBLIC_PORT = 8888;
const INTERNAL_PORT = 8889;
/** Calls that other routers hand on. */
const PEERS_PORT = 8890;
/** The Service whose endpoints are all routers' `PEERS_PORT`. */
export const PEERS_SERVICE = 'router-peers';
/** The routers' internal listeners, where their loads are asked for. */
export const INTERNAL_SERVICE = 'router-internal';
const DRAIN_MS = 30_000;
/**
 * For how long it still serves after it was told to stop: kept connections bring requests until they are closed, and
 * new ones come until all nodes have taken it out of the Service.
 */
const RETIRE_MS = 3_000;

export interface RouterRoleOptions {
  readonly settings: ClusterSettings;
}

/** Runs the router until it is told to stop; resolves when everything is closed. */
export async function runRouter({ settings }: RouterRoleOptions): Promise<void> {
  const stopped = onStopSignal();
  const logger = pino({ level: settings.logLevel }, pino.destination({ fd: 2, sync: true }));
  const version = clientVersion();
  await using parts = new AsyncDisposableStack();
  const client = new KubeClient(await loadKubeConfig());
  parts.defer(() => client.close());
  const folder = await mkdtemp(join(tmpdir(), 'fissium-router-'));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const logs = new LogStore({ folder });
  parts.defer(() => logs.close());
  const metrics = createMetrics();
  parts.defer(() => metrics.close());

  let ready = false;
  const functions = new FunctionTable();
  const routes = new RouteTable();
  const router = createRouter({ functions, routes, metrics, logs, logger, version, ready: () => ready });
  const peerFunctions = new FunctionTable();
  const peerRoutes = new RouteTable();
  parts.defer(routeByName(peerFunctions, peerRoutes));
  const guard = peersGuard(settings.auth);
  // Without metrics: each call is counted by the router that its client reached.
  const peers = createRouter({
    functions: peerFunctions,
    routes: peerRoutes,
    logger: logger.child({ component: 'peers' }),
    fromRouters: true,
    ...(guard === undefined ? {} : { guard }),
  });
  const control = startRouterControl({
    client,
    logger,
    ...settings,
    peersService: PEERS_SERVICE,
    signDemand: requestSigner('executor', settings.auth.current),
    signCall: requestSigner('router-peers', settings.auth.current),
    hostSignerOf: hostCallSigners(settings.auth),
    functions,
    peerFunctions,
    routes,
    admission: router.services.admission,
  });
  parts.defer(() => control.close());
  const internal = createInternalListener({
    services: router.services,
    metrics,
    logs,
    logger,
    version,
    ready: () => ready,
    gate: signatureGate('router-internal', settings.auth, "the router's internal listener"),
    mounts: {
      '/v1/loads': (_request, response) => {
        const body = Buffer.from(JSON.stringify(control.loads()));
        response
          .writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
          .end(body);
      },
    },
  });
  await internal.listen(HOST, INTERNAL_PORT);
  parts.defer(() => internal.close({ graceMs: DRAIN_MS }));
  await peers.listen(HOST, PEERS_PORT);
  parts.defer(() => peers.close({ graceMs: DRAIN_MS }));
  await router.listen(HOST, PUBLIC_PORT);
  parts.defer(() => router.close({ graceMs: DRAIN_MS }));

  await Promise.race([control.synced(), stopped]);
  ready = true;
  logger.info('the router is ready');
  await stopped;
  ready = false;
  router.retire();
  peers.retire();
  await delay(RETIRE_MS);
}
