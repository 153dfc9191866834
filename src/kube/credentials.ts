import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, type AgentOptions } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';

import type { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import type { Cluster, Context, User } from '@kubernetes/client-node/dist/config_types.js';

/** How a request to the API server is authenticated, and over which connections it goes. */
export interface Credentials {
  /** What the next request carries. Called for each: tokens of exec plugins and service accounts expire. */
  next(): Promise<RequestCredentials>;
  /** Closes idle connections. */
  close(): void;
}

export interface RequestCredentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: HttpAgent;
}

interface TlsMaterial {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** One Agent for all requests: client-node makes a new one, so a new TLS connection, for each. */
const KEEP_ALIVE: AgentOptions = { keepAlive: true, keepAliveMsecs: 30_000 };

function makeAgent(secure: boolean, tls: TlsMaterial): HttpAgent {
  if (!secure) return new HttpAgent(KEEP_ALIVE);
  // Made once: otherwise each connection reads the certificates again.
  return new HttpsAgent({ ...KEEP_ALIVE, ...tls, secureContext: contextOf(tls) });
}

function contextOf(tls: TlsMaterial): SecureContext | undefined {
  try {
    return createSecureContext(tls);
  } catch {
    // What is wrong with the certificates each connection says.
    return undefined;
  }
}

/**
 * Credentials that need nothing but what stands in the kubeconfig, or undefined where client-node's own
 * machinery is needed: exec plugins, auth providers, basic auth, proxies, plain HTTP that was not allowed.
 */
export function staticCredentials(cluster: Cluster, user: User): Credentials | undefined {
  const secure = cluster.server.startsWith('https:');
  const needsLibrary =
    user.exec !== undefined ||
    user.authProvider !== undefined ||
    (user.username !== undefined && user.username !== '') ||
    (cluster.proxyUrl !== undefined && cluster.proxyUrl !== '') ||
    (!secure && !cluster.skipTLSVerify);
  if (needsLibrary) return undefined;

  const headers: Record<string, string> = {};
  if (user.token !== undefined && user.token !== '') headers.authorization = `Bearer ${user.token}`;
  if (user.impersonateUser !== undefined && user.impersonateUser !== null) {
    headers['impersonate-user'] = user.impersonateUser;
  }
  const agent = makeAgent(secure, {
    ca: fileOrData(cluster.caFile, cluster.caData),
    cert: fileOrData(user.certFile, user.certData),
    key: fileOrData(user.keyFile, user.keyData),
    ...(cluster.tlsServerName ? { servername: cluster.tlsServerName } : {}),
    ...(cluster.skipTLSVerify ? { rejectUnauthorized: false } : {}),
  });
  return {
    next: () => Promise.resolve({ headers, agent }),
    close: () => agent.destroy(),
  };
}

/** What a kubeconfig holds, as client-node takes it. */
export interface KubeConfigParts {
  readonly clusters: readonly Cluster[];
  readonly contexts: readonly Context[];
  readonly users: readonly User[];
  readonly currentContext: string;
}

/** Credentials that client-node's `KubeConfig` computes for each request; imports it at the first one. */
export function libraryCredentials(options: KubeConfigParts | KubeConfig): Credentials {
  let loaded: Promise<KubeConfig> | undefined;
  let own: { agent: HttpAgent; madeOf: string } | undefined;

  async function load(): Promise<KubeConfig> {
    const library = await import('@kubernetes/client-node/dist/config.js');
    if ('applyToHTTPSOptions' in options) return options;
    const config = new library.KubeConfig();
    config.loadFromOptions(options);
    return config;
  }

  return {
    async next() {
      const config = await (loaded ??= load());
      const request: RequestOptions = {};
      await config.applyToHTTPSOptions(request);
      const headers: Record<string, string> = {};
      for (const [name, value] of Object.entries(request.headers ?? {})) {
        if (value !== undefined) headers[name.toLowerCase()] = String(value);
      }
      if (typeof request.auth === 'string') {
        headers.authorization = `Basic ${Buffer.from(request.auth).toString('base64')}`;
      }
      const cluster = config.getCurrentCluster();
      // Where a proxy is named the library's agent knows the way; else it closes the connection after each request.
      if (cluster?.proxyUrl && request.agent instanceof HttpAgent) return { headers, agent: request.agent };
      const tls = tlsOf(request);
      const madeOf = JSON.stringify(tls);
      if (own?.madeOf !== madeOf) {
        // An exec plugin handed out another client certificate: connections of the old one are not for reuse.
        own?.agent.destroy();
        own = { agent: makeAgent(cluster?.server.startsWith('https:') ?? true, tls), madeOf };
      }
      return { headers, agent: own.agent };
    },
    close: () => own?.agent.destroy(),
  };
}

function tlsOf(request: RequestOptions): TlsMaterial {
  const { servername, rejectUnauthorized } = request;
  return {
    ca: bufferOf(request.ca),
    cert: bufferOf(request.cert),
    key: bufferOf(request.key),
    ...(servername === undefined ? {} : { servername }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
  };
}

function bufferOf(value: unknown): Buffer | undefined {
  if (Buffer.isBuffer(value)) return value;
  return typeof value === 'string' ? Buffer.from(value) : undefined;
}

function fileOrData(file: string | undefined, data: string | undefined): Buffer | undefined {
  if (file) return readFileSync(file);
  return data ? Buffer.from(data, 'base64') : undefined;
}
