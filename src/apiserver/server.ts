/** The embedded Kubernetes API as a whole: parts, listening, closing. */
import { createServer, type Server } from 'node:https';
import { isIPv6, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { requestSigner } from '../auth/request-signer.ts';
import { FissiumError } from '../errors.ts';
import { Expiry } from './control/expiry.ts';
import { GarbageCollector } from './control/gc.ts';
import { ensureNamespaces, NamespaceLifecycle } from './control/namespaces.ts';
import { ApiHandler } from './http/handler.ts';
import { ObjectsHandler } from './http/objects-handler.ts';
import { ServiceProxy, type Upstreams } from './http/proxy.ts';
import { startWatch } from './http/watch-handler.ts';
import { loadToken, writeKubeconfig } from './kubeconfig.ts';
import { makeSecureFolder } from './secure-files.ts';
import { Store, type StoreOptions } from './store/store.ts';
import { certificateHosts, loadServerIdentity } from './tls.ts';
import { ViewReader, type Reader } from './views/reader.ts';
import type { PlatformFacts } from './views/view.ts';
import type { ResourceKind } from './kinds/resource-kind.ts';
import { WatchHub, type WatchHubOptions } from './watch/hub.ts';

export interface ApiServerOptions {
  /** Holds state.db, pki/ and kubeconfig; made if missing, with mode 0700. */
  readonly dataDir: string;
  /** @default 127.0.0.1 */
  readonly host?: string;
  /** 0 takes a free one. @default 6443 */
  readonly port?: number;
  /** Where the Service proxy leads. @default none */
  readonly upstreams?: Upstreams;
  /** Of the control plane: the Services of the proxy are in it. @default fission */
  readonly systemNamespace?: string;
  /** Fissium's version, for /version. @default 0.0.0 */
  readonly release?: string;
  /** By which the platform's internal listener knows that logs are asked for by the API. @default null: it asks for nothing */
  readonly authSecret?: string | null;
  readonly store?: Omit<StoreOptions, 'path'>;
  readonly watches?: WatchHubOptions;
}

/** What a client of the API needs to know beside its address. */
export interface ClientAccess {
  /** PEM. */
  readonly caCertificate: string;
  readonly token: string;
}

export interface ApiServer {
  /** `https://127.0.0.1:6443` */
  readonly url: string;
  readonly port: number;
  readonly kubeconfigPath: string;
  /** What the kubeconfig says. */
  readonly access: ClientAccess;
  setUpstreams(upstreams: Upstreams): void;
  /** Ends watches, lets requests finish for a moment, commits what was accepted. */
  close(): Promise<void>;
}

const CLOSE_GRACE_MS = 2000;
const IDENTITY_CHECK_MS = 12 * 60 * 60 * 1000;

/** Starts the API in this thread. Fails with BAD_OPTION where it cannot listen, STORAGE_FULL where it cannot write. */
export async function startApiServer(options: ApiServerOptions, logger: Logger): Promise<ApiServer> {
  const { dataDir, host = '127.0.0.1', systemNamespace = 'fission' } = options;
  await makeSecureFolder(dataDir);
  const pki = join(dataDir, 'pki');
  const token = await loadToken(pki);
  const identity = await loadServerIdentity(pki, certificateHosts(host));
  const store = new Store({ ...options.store, path: join(dataDir, 'state.db') });
  const hub = new WatchHub(store, options.watches);
  const proxy = new ServiceProxy(systemNamespace, options.upstreams ?? {}, logger);
  const release = options.release ?? '0.0.0';
  const startedAt = new Date();
  const signInternal = requestSigner('router-internal', options.authSecret ?? null);
  const facts = (): PlatformFacts => ({
    namespace: systemNamespace,
    release,
    startedAt,
    upstreams: proxy.upstreams,
    signInternal,
  });
  const readerOf = ({ id, view }: ResourceKind): Reader =>
    view === undefined ? store : new ViewReader(store, id, view, facts);
  const objects = new ObjectsHandler(store, readerOf, (reader, exchange, selection, form) =>
    startWatch(reader, hub, exchange, selection, form),
  );
  const handler = new ApiHandler({ token, release, objects, proxy, facts, logger });
  const server = createServer({ key: identity.key, cert: identity.certificate, minVersion: 'TLSv1.2' });
  // Uploads through the Service proxy may take long; headers may not.
  server.requestTimeout = 0;
  // Longer than clients keep idle connections, so that it is them who close: no request meets a closing socket.
  server.keepAliveTimeout = 120_000;
  server.on('request', (request, response) => void handler.handle(request, response));
  server.on('upgrade', (request, socket, head) => handler.handleUpgrade(request, socket, head));
  // A client that speaks no TLS, or does not trust the CA, is its own business.
  server.on('tlsClientError', (err) => logger.debug({ err }, 'TLS handshake failed'));

  const parts: { close(): void }[] = [hub, handler, proxy, store];
  const kubeconfigPath = join(dataDir, 'kubeconfig');
  let port: number;
  let url: string;
  try {
    await ensureNamespaces(store, ['default', 'kube-system', systemNamespace]);
    parts.unshift(
      new Expiry(store, logger),
      new GarbageCollector(store, logger),
      new NamespaceLifecycle(store, logger),
    );
    await listen(server, host, options.port ?? 6443);
    // A TCP server's address is never a pipe's name.
    ({ port } = server.address() as AddressInfo);
    url = `https://${clientHost(host)}:${port}`;
    await writeKubeconfig(kubeconfigPath, { url, caCertificate: identity.caCertificate, token });
  } catch (error) {
    server.close();
    for (const part of parts) part.close();
    throw error;
  }

  const renew = async (): Promise<void> => {
    const renewed = await loadServerIdentity(pki, certificateHosts(host));
    server.setSecureContext({ key: renewed.key, cert: renewed.certificate, minVersion: 'TLSv1.2' });
    await writeKubeconfig(kubeconfigPath, { url, caCertificate: renewed.caCertificate, token });
  };
  const renewal = setInterval(() => {
    renew().catch((err: unknown) => logger.warn({ err }, 'renewing the certificate failed'));
  }, IDENTITY_CHECK_MS);
  renewal.unref();
  logger.info({ url }, 'API server listens');

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    clearInterval(renewal);
    hub.close();
    handler.close();
    await stopListening(server);
    for (const part of parts) part.close();
  };
  return {
    url,
    port,
    kubeconfigPath,
    access: { caCertificate: identity.caCertificate, token },
    setUpstreams: (upstreams) => proxy.setUpstreams(upstreams),
    close: () => (closing ??= close()),
  };
}

function clientHost(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return isIPv6(host) ? `[${host}]` : host;
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void => {
      const why =
        'code' in error && error.code === 'EADDRINUSE'
          ? 'the port is in use; choose another with --api-port (0 takes a free one)'
          : error.message;
      reject(
        new FissiumError('BAD_OPTION', `the API server cannot listen on ${host}:${port}: ${why}`, {
          cause: error,
        }),
      );
    };
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

async function stopListening(server: Server): Promise<void> {
  const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
  clearTimeout(grace);
}
