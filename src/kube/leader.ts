/**
 * Leader election over a Lease (coordination.k8s.io/v1), as client-go does it: a lease that was not renewed for its
 * duration, by the clock of the one who looks, may be taken.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { Logger } from 'pino';

import { isAlreadyExists, isConflict, isNotFound } from './api-error.ts';
import type { KubeClient } from './client.ts';
import { type KubeObject, RESOURCES } from './resources.ts';

export const LEADER_LEASE = 'fissium-controller';
/** Annotation of the lease: where the holder takes requests, `http://address:port`. */
export const LEADER_ADDRESS = 'fissium.io/address';

export interface LeaderOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly namespace: string;
  /** @default {@link LEADER_LEASE} */
  readonly name?: string;
  /** Names the holder: the pod's name. */
  readonly identity: string;
  readonly address: string;
  /** @default 15000 */
  readonly leaseDurationMs?: number;
  /** The holder gives up when it could not renew for this long; less than the duration. @default 10000 */
  readonly renewDeadlineMs?: number;
  /** @default 2000 */
  readonly retryMs?: number;
}

interface Lease extends KubeObject {
  spec?: {
    holderIdentity?: string | null;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export class LeaderElection {
  readonly #options: Required<LeaderOptions>;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  readonly #lost = Promise.withResolvers<void>();
  /** The lease as it was seen change last, and when. */
  #seen: { version: string | undefined; atMs: number } | null = null;
  #leading = false;
  #running: Promise<void> | null = null;

  constructor(options: LeaderOptions) {
    this.#options = {
      name: LEADER_LEASE,
      leaseDurationMs: 15_000,
      renewDeadlineMs: 10_000,
      retryMs: 2_000,
      ...options,
    };
    this.#logger = options.logger.child({ component: 'leader-election' });
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** Resolves when this process leads. Rejects when it is closed before. */
  async acquire(): Promise<void> {
    const { signal } = this.#stop;
    while (!(await this.#attempt())) await delay(this.#options.retryMs, undefined, { signal });
    this.#leading = true;
    this.#logger.info({ identity: this.#options.identity }, 'this controller leads');
    this.#running = this.#renew();
  }

  /** Resolves when the lease is lost: whoever led must stop at once, as another may lead. Never while it is kept. */
  lost(): Promise<void> {
    return this.#lost.promise;
  }

  /** Stops, and lets another lead at once. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (!this.#leading) return;
    this.#leading = false;
    await this.#release().catch((err: unknown) => this.#logger.warn({ err }, 'the lease was not given back'));
  }

  async #renew(): Promise<void> {
    const { renewDeadlineMs, retryMs } = this.#options;
    let renewedMs = performance.now();
    while (!this.#stop.signal.aborted) {
      await delay(retryMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      if (this.#stop.signal.aborted) return;
      if (await this.#attempt()) renewedMs = performance.now();
      else if (performance.now() - renewedMs > renewDeadlineMs) {
        this.#leading = false;
        this.#logger.error('the lease could not be renewed in time: another controller may lead');
        this.#lost.resolve();
        return;
      }
    }
  }

  /** Whether the lease is ours now. */
  async #attempt(): Promise<boolean> {
    try {
      return await this.#tryTake();
    } catch (err) {
      if (!isConflict(err) && !isAlreadyExists(err))
        this.#logger.warn({ err }, 'the lease cannot be read or written');
      return false;
    }
  }

  async #tryTake(): Promise<boolean> {
    const { client, namespace, name, identity, leaseDurationMs, renewDeadlineMs } = this.#options;
    const signal = AbortSignal.timeout(renewDeadlineMs);
    let lease: Lease;
    try {
      lease = await client.get<Lease>(RESOURCES.leases, namespace, name, { signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await client.create<Lease>(RESOURCES.leases, this.#next({ metadata: { namespace, name } }), { signal });
      return true;
    }
    const holder = lease.spec?.holderIdentity ?? '';
    const { resourceVersion } = lease.metadata;
    if (this.#seen === null || this.#seen.version !== resourceVersion) {
      this.#seen = { version: resourceVersion, atMs: performance.now() };
    }
    const heldMs = (lease.spec?.leaseDurationSeconds ?? leaseDurationMs / 1000) * 1000;
    const isExpired = performance.now() - this.#seen.atMs > heldMs;
    if (holder !== '' && holder !== identity && !isExpired) return false;
    await client.replace<Lease>(RESOURCES.leases, this.#next(lease), { signal });
    return true;
  }

  #next(lease: Lease): Lease {
    const { identity, address, leaseDurationMs } = this.#options;
    const now = new Date().toISOString().replace('Z', '000Z');
    const before = lease.spec ?? {};
    const isSame = before.holderIdentity === identity;
    return {
      ...lease,
      metadata: {
        ...lease.metadata,
        annotations: { ...lease.metadata.annotations, [LEADER_ADDRESS]: address },
      },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
        acquireTime: isSame ? (before.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: (before.leaseTransitions ?? 0) + (isSame || lease.spec === undefined ? 0 : 1),
      },
    };
  }

  async #release(): Promise<void> {
    const { client, namespace, name, identity } = this.#options;
    const lease = await client.get<Lease>(RESOURCES.leases, namespace, name);
    if (lease.spec?.holderIdentity !== identity) return;
    const next = this.#next(lease);
    await client.replace<Lease>(RESOURCES.leases, {
      ...next,
      spec: { ...next.spec, holderIdentity: '', leaseDurationSeconds: 1 },
    });
  }
}
