/** The other routers: which of them a function's pods belong to, and how it is reached. */
import type { Logger } from 'pino';
import { Pool } from 'undici';

import { FissiumError } from '../../errors.ts';
import { AUTH_SIGNATURE_HEADER, AUTH_TIMESTAMP_HEADER, UNSIGNED_BODY } from '../../auth/internal-auth.ts';
import type { AuthSecrets, RequestSigner } from '../../auth/request-signer.ts';
import { signatureGate } from '../../auth/signature-gate.ts';
import type { KubeClient } from '../../kube/index.ts';
import type { Exchange } from '../exchange.ts';
import { type CallTarget, proxyTarget } from './cluster-function.ts';
import { type ReadyAddress, SliceWatch } from './endpoint-slices.ts';
import { Lines } from './relay/lines.ts';
import { rendezvous } from './rendezvous.ts';

export interface PeersOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** The control plane's. */
  readonly namespace: string;
  /** This router's pod. */
  readonly podName: string;
  /** The Service whose endpoints are the routers. */
  readonly service: string;
  /** On the channel `router-peers`. @default nothing is added */
  readonly signCall?: RequestSigner;
}

interface Peer {
  readonly key: string;
  readonly target: CallTarget;
  readonly pool: Pool;
}

const CONNECT_MS = 2_000;

/** Calls that it has may end. */
function closePeer({ pool, target }: Peer): void {
  target.lines.close();
  void pool.close();
}

/** Lets only other routers in; undefined where nothing is signed. */
export function peersGuard(auth: AuthSecrets): ((request: Exchange) => void) | undefined {
  const gate = signatureGate('router-peers', auth, "the router's port for other routers");
  if (gate === null) return undefined;
  return (request) => {
    // Just these: making all headers of a quick connection's request costs it more than the rest.
    const headers = {
      [AUTH_TIMESTAMP_HEADER]: request.header(AUTH_TIMESTAMP_HEADER),
      [AUTH_SIGNATURE_HEADER]: request.header(AUTH_SIGNATURE_HEADER),
    };
    try {
      gate.check({ method: request.method, url: request.target, headers }, UNSIGNED_BODY);
    } catch (error) {
      // The other router passes the answer on: to its client a 401 would speak of credentials that nobody asked for.
      const why = error instanceof Error ? error.message : String(error);
      throw new FissiumError('INTERNAL', `A call of another router is not let in: ${why}`, { cause: error });
    }
  };
}

export class Peers {
  readonly #watch: SliceWatch;
  readonly #self: string;
  readonly #sign: RequestSigner | undefined;
  #others = new Map<string, Peer & { origin: string }>();
  /** All keys, this router's among them. */
  #keys: string[];

  constructor({ client, logger, namespace, podName, service, signCall }: PeersOptions) {
    this.#sign = signCall;
    this.#self = `${namespace}/${podName}`;
    this.#keys = [this.#self];
    this.#watch = new SliceWatch({
      client,
      logger,
      namespaces: [namespace],
      labelSelector: `kubernetes.io/service-name=${service}`,
      groupOf: () => service,
      onChange: (_group, ready) => this.#set(ready),
    });
  }

  start(): void {
    this.#watch.start();
  }

  synced(): Promise<void> {
    return this.#watch.synced();
  }

  async close(): Promise<void> {
    await this.#watch.close();
    for (const peer of this.#others.values()) closePeer(peer);
  }

  /** The router that has the endpoints of the function with this uid; null where this one has. */
  ownerOf(uid: string): CallTarget | null {
    if (this.#keys.length === 1) return null;
    const owner = rendezvous(uid, this.#keys, (key) => key);
    return this.#others.get(owner ?? this.#self)?.target ?? null;
  }

  get #signing(): Pick<CallTarget, 'sign'> {
    const sign = this.#sign;
    // Bodies stream to the other router, so that nobody can know their digests here.
    return sign === undefined ? {} : { sign: (method, uri) => sign(method, uri, UNSIGNED_BODY) };
  }

  #set(ready: readonly ReadyAddress[]): void {
    const others = new Map<string, Peer & { origin: string }>();
    for (const { key, origin } of ready) {
      if (key === this.#self) continue;
      const known = this.#others.get(key);
      if (known?.origin === origin) {
        others.set(key, known);
        continue;
      }
      const pool = new Pool(origin, {
        connections: 512,
        connectTimeout: CONNECT_MS,
        headersTimeout: 0,
        bodyTimeout: 0,
        keepAliveTimeout: 3_000,
      });
      const lines = new Lines({ origin, connectTimeoutMs: CONNECT_MS });
      const target = { ...proxyTarget(pool, `router ${key}`), ...this.#signing, lines };
      others.set(key, { key, origin, pool, target });
    }
    for (const [key, peer] of this.#others) if (others.get(key) !== peer) closePeer(peer);
    this.#others = others;
    this.#keys = [this.#self, ...others.keys()];
  }
}
