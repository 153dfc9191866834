/** Tells the controller that leads which functions' calls wait for an endpoint. */
import type { Logger } from 'pino';
import { Agent, request } from 'undici';

import { digestOf, type RequestSigner } from '../../auth/request-signer.ts';
import { Informer, type KubeClient, type KubeObject, RESOURCES } from '../../kube/index.ts';
import { LEADER_ADDRESS, LEADER_LEASE } from '../../kube/leader.ts';
import type { ClusterFunction } from './cluster-function.ts';

export interface DemandOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** The control plane's. */
  readonly namespace: string;
  /** On the channel `executor`. @default nothing is added */
  readonly signDemand?: RequestSigner;
}

/** The body of `POST /v1/demand`. */
export interface DemandReport {
  readonly functions: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly running: number;
    readonly queued: number;
  }[];
}

const REPEAT_MS = 1000;
const TIMEOUT_MS = 5000;

export class DemandReporter {
  readonly #lease: Informer<KubeObject>;
  readonly #namespace: string;
  readonly #logger: Logger;
  readonly #sign: RequestSigner | undefined;
  readonly #waiting = new Set<ClusterFunction>();
  readonly #agent = new Agent({ connections: 8, keepAliveTimeout: 3_000 });
  #timer: NodeJS.Timeout | null = null;
  #scheduled = false;
  #closed = false;

  constructor({ client, logger, namespace, signDemand }: DemandOptions) {
    this.#sign = signDemand;
    this.#namespace = namespace;
    this.#logger = logger.child({ component: 'demand' });
    this.#lease = new Informer<KubeObject>({
      client,
      logger,
      namespace,
      type: RESOURCES.leases,
      fieldSelector: `metadata.name=${LEADER_LEASE}`,
    });
    // A new leader knows nothing of who waits.
    const changed = (lease: KubeObject, before?: KubeObject): void => {
      if (addressOf(lease) !== (before && addressOf(before))) this.#report();
    };
    this.#lease.onChange({ add: changed, update: changed });
  }

  start(): void {
    this.#lease.start();
  }

  synced(): Promise<void> {
    return this.#lease.synced();
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#lease.close();
    await this.#agent.destroy();
  }

  /** Reports the function soon, and again for as long as calls of it wait. */
  readonly wanted = (fn: ClusterFunction): void => {
    this.#waiting.add(fn);
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Calls that arrive together make one report.
    setImmediate(() => {
      this.#scheduled = false;
      this.#report();
    });
  };

  #report(): void {
    if (this.#closed) return;
    for (const fn of this.#waiting) if (fn.waiting === 0) this.#waiting.delete(fn);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => this.#report(), REPEAT_MS);
    const lease = this.#lease.get(this.#namespace, LEADER_LEASE);
    const address = lease && addressOf(lease);
    if (address === undefined) {
      this.#logger.warn('calls wait for an endpoint, and no controller leads');
      return;
    }
    const functions = Array.from(this.#waiting, (fn) => {
      const { namespace, name, uid } = fn.parts;
      return { namespace, name, uid, running: fn.running, queued: fn.waiting };
    });
    this.#post(address, { functions }).catch((err: unknown) => {
      if (!this.#closed) this.#logger.warn({ err, address }, 'the controller that leads was not reached');
    });
  }

  async #post(address: string, report: DemandReport): Promise<void> {
    const body = JSON.stringify(report);
    const answer = await request(`${address}/v1/demand`, {
      method: 'POST',
      dispatcher: this.#agent,
      headers: {
        'content-type': 'application/json',
        ...this.#sign?.('POST', '/v1/demand', digestOf(body)),
      },
      body,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`it answered ${answer.statusCode} ${text.trim()}`);
  }
}

function addressOf({ metadata }: KubeObject): string | undefined {
  return metadata.annotations?.[LEADER_ADDRESS];
}
