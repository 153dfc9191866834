import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';

import type { Logger } from 'pino';

import type { Loads } from '../executors/loads.ts';
import { type ConfigMap, isNotFound, type KubeClient, type KubeObject, RESOURCES } from '../kube/index.ts';
import { type MetricsApiState, type MetricsService, registerMetricsApi } from './api-service.ts';
import { Authoriser } from './authoriser.ts';
import { servingCertificate, type ServingCertificate } from './certificate-secret.ts';
import { type FrontProxySettings, frontProxySettings, userOf } from './front-proxy.ts';
import { createMetricsHandler } from './handler.ts';

export interface MetricsApiOptions {
  readonly client: KubeClient;
  readonly loads: Loads;
  /** Reads the loads anew, where nobody does so all the time. */
  readonly readLoads?: () => Promise<unknown>;
  /** All functions of a namespace. */
  readonly functions: (namespace: string) => Iterable<KubeObject>;
  readonly logger: Logger;
  /** How Kubernetes reaches the controllers. */
  readonly service: MetricsService;
  /** @default '0.0.0.0' */
  readonly host?: string;
  /** @default 8443 */
  readonly port?: number;
  /** How often the certificate and the front proxy's CA are looked at. @default 60000 */
  readonly refreshMs?: number;
}

const SECRET = 'fissium-metrics-tls';
const PORT = 8443;

/**
 * The server of `custom.metrics.k8s.io`; every replica of the controller runs one. The one that leads also keeps it
 * registered.
 */
export class MetricsApi {
  readonly #options: MetricsApiOptions;
  readonly #logger: Logger;
  #server: Server | undefined;
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> = Promise.resolve();
  #certificate: ServingCertificate | undefined;
  #frontProxy: FrontProxySettings | null = null;
  #state: MetricsApiState = { state: 'absent', message: 'Nothing is registered yet.' };

  constructor(options: MetricsApiOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ component: 'metrics-api' });
  }

  /**
   * Whether the platform's metrics reach HPAs: what is registered is ours. Of use in the controller that leads, after
   * its first {@link keepRegistered}.
   */
  get isRegistered(): boolean {
    return this.#state.state === 'ours' || this.#state.state === 'unavailable';
  }

  /** Listens; resolves with the port. Rejects where no certificate can be had. */
  async start(): Promise<number> {
    const { loads, readLoads, functions, client, refreshMs = 60_000 } = this.#options;
    await this.#readAll();
    const server = createServer(
      // Who has no certificate of the front proxy's is told so, in words.
      { ...this.#secureContext(), requestCert: true, rejectUnauthorized: false },
      createMetricsHandler({
        loads,
        readLoads: readLoads ?? (() => Promise.resolve()),
        functions,
        logger: this.#logger,
        authoriser: new Authoriser(client),
        userOf: (request) => (this.#frontProxy === null ? undefined : userOf(request, this.#frontProxy)),
      }),
    );
    this.#server = server;
    server.listen(this.#options.port ?? PORT, this.#options.host ?? '0.0.0.0');
    await once(server, 'listening');
    this.#timer = setInterval(() => void this.refresh(), refreshMs).unref();
    return (server.address() as AddressInfo).port;
  }

  /** Takes over a new certificate, or a new CA of the front proxy. Never rejects. */
  refresh(): Promise<void> {
    this.#refreshing = this.#refreshing.then(async () => {
      try {
        const before = this.#secureContext();
        await this.#readAll();
        const after = this.#secureContext();
        if (!isDeepStrictEqual(before, after)) this.#server?.setSecureContext(after);
      } catch (error) {
        this.#logger.warn({ err: error }, 'certificates could not be read again');
      }
    });
    return this.#refreshing;
  }

  /** For the controller that leads, now and then: has Kubernetes ask here. Rejects where the API server refuses. */
  async keepRegistered(): Promise<MetricsApiState> {
    const { client, service } = this.#options;
    this.#certificate ??= await this.#readCertificate();
    const before = this.#state;
    this.#state = await registerMetricsApi(client, service, this.#certificate.caCertificate);
    // What was just registered is ours, though nobody has tried it yet.
    if (this.#state.state === 'absent') {
      this.#state = { state: 'unavailable', message: 'Registered; Kubernetes has not tried it yet.' };
    }
    if (before.state !== this.#state.state) this.#logger.info({ ...this.#state }, 'custom metrics');
    return this.#state;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#refreshing;
    const server = this.#server;
    if (server === undefined) return;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }

  async #readAll(): Promise<void> {
    this.#certificate = await this.#readCertificate();
    this.#frontProxy = await this.#readFrontProxy();
    if (this.#frontProxy === null) {
      this.#logger.warn(
        {},
        'the API server has no front proxy (kube-system/extension-apiserver-authentication): nobody can ask for metrics',
      );
    }
  }

  #readCertificate(): Promise<ServingCertificate> {
    const { client, service } = this.#options;
    const host = `${service.name}.${service.namespace}.svc`;
    return servingCertificate({
      client,
      namespace: service.namespace,
      secretName: SECRET,
      hosts: [host, `${host}.cluster.local`],
    });
  }

  async #readFrontProxy(): Promise<FrontProxySettings | null> {
    const { client } = this.#options;
    try {
      return frontProxySettings(
        await client.get<ConfigMap>(
          RESOURCES.configmaps,
          'kube-system',
          'extension-apiserver-authentication',
        ),
      );
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }

  /** An empty list of CAs would have Node trust the public ones: without a front proxy, only our own, which signs no client. */
  #secureContext(): { cert: string; key: string; ca: string } {
    const { certificate = '', key = '', caCertificate = '' } = this.#certificate ?? {};
    return { cert: certificate, key, ca: this.#frontProxy?.ca ?? caCertificate };
  }
}
