import type { Logger } from 'pino';
import { Agent, request } from 'undici';

import type { RequestSigner } from '../auth/request-signer.ts';
import type { KubeClient } from '../kube/index.ts';
import { SliceWatch } from '../router/cluster/endpoint-slices.ts';
import type { EndpointLoadReport, FunctionLoadReport, LoadReport, Loads } from './loads.ts';

export interface RouterLoadsOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** The control plane's. */
  readonly namespace: string;
  /** The Service whose endpoints are all routers, with a port `internal`. */
  readonly service: string;
  /** On the channel `router-internal`. @default nothing is added */
  readonly sign?: RequestSigner;
}

const TIMEOUT_MS = 2_000;

/** Reads the loads of all ready routers, and sums them. */
export class RouterLoads implements Loads {
  readonly #watch: SliceWatch;
  readonly #logger: Logger;
  readonly #sign: RequestSigner | undefined;
  readonly #agent = new Agent({ connections: 2, keepAliveTimeout: 3_000 });
  #routers: readonly string[] = [];
  #completeAtMs: number | null = null;
  #functions = new Map<string, FunctionLoadReport>();
  #endpoints = new Map<string, EndpointLoadReport>();
  #reading: Promise<void> | null = null;

  constructor({ client, logger, namespace, service, sign }: RouterLoadsOptions) {
    this.#sign = sign;
    this.#logger = logger.child({ component: 'router-loads' });
    this.#watch = new SliceWatch({
      client,
      logger,
      namespaces: [namespace],
      labelSelector: `kubernetes.io/service-name=${service}`,
      port: 'internal',
      groupOf: () => service,
      onChange: (_group, ready) => {
        this.#routers = ready.map(({ origin }) => origin);
      },
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
    await this.#agent.destroy();
  }

  get completeAtMs(): number | null {
    return this.#completeAtMs;
  }

  functionOf(uid: string): FunctionLoadReport | undefined {
    return this.#functions.get(uid);
  }

  endpointOf(pod: string): EndpointLoadReport | undefined {
    return this.#endpoints.get(pod);
  }

  functions(): Iterable<FunctionLoadReport> {
    return this.#functions.values();
  }

  /**
   * Asks every router now; a reading that is under way is shared. A router that does not answer keeps the reading from
   * being complete: what it has to do is not known, and nothing may be taken for idle.
   */
  read(): Promise<void> {
    this.#reading ??= this.#readAll().finally(() => (this.#reading = null));
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    const beganMs = performance.now();
    const routers = this.#routers;
    const answers = await Promise.all(routers.map((origin) => this.#ask(origin)));
    const reports = answers.filter((report) => report !== null);
    this.#functions = summed(
      reports.flatMap(({ functions }) => functions),
      ({ uid }) => uid,
      (a, b) => ({ ...a, ...together(a, b), queued: a.queued + b.queued }),
    );
    this.#endpoints = summed(
      reports.flatMap(({ endpoints }) => endpoints),
      ({ pod }) => pod,
      (a, b) => ({ ...a, ...together(a, b) }),
    );
    if (reports.length === routers.length) this.#completeAtMs = beganMs;
  }

  async #ask(origin: string): Promise<LoadReport | null> {
    try {
      const { body, statusCode } = await request(`${origin}/v1/loads`, {
        dispatcher: this.#agent,
        headers: this.#sign?.('GET', '/v1/loads') ?? {},
        headersTimeout: TIMEOUT_MS,
        bodyTimeout: TIMEOUT_MS,
      });
      if (statusCode === 401) this.#refused(origin, await body.text());
      else if (statusCode !== 200) await body.dump();
      if (statusCode !== 200) throw new Error(`it answered ${statusCode}`);
      return (await body.json()) as LoadReport;
    } catch (err) {
      this.#logger.debug({ err, origin }, 'a router did not say its load');
      return null;
    }
  }

  /** Nobody scales while this is so, and nothing else would say why. */
  #refused(origin: string, answer: string): void {
    this.#logger.warn({ origin, answer }, 'a router does not take the request for its load for ours');
  }
}

interface Busy {
  readonly running: number;
  readonly idleMs: number;
}

function together(a: Busy, b: Busy): Busy {
  return { running: a.running + b.running, idleMs: Math.min(a.idleMs, b.idleMs) };
}

function summed<T>(items: readonly T[], keyOf: (item: T) => string, add: (a: T, b: T) => T): Map<string, T> {
  const sums = new Map<string, T>();
  for (const item of items) {
    const before = sums.get(keyOf(item));
    sums.set(keyOf(item), before === undefined ? item : add(before, item));
  }
  return sums;
}
