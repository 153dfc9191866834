import type { Logger } from 'pino';

import { Backoff, type KubeClient, keyOf, RESOURCES } from '../../kube/index.ts';
import { type Trouble, troubleOf } from '../deployments/pod-troubles.ts';
import { RecentPeak, reserveOf, wantedGenericPods } from '../pool-scaling.ts';
import { TEMPLATE_ANNOTATION } from '../pods/labels.ts';
import { USUAL_CLASS } from './pool-labels.ts';
import {
  type PoolDeployment,
  type PoolEnvironment,
  type PoolObjectOptions,
  poolDeployment,
} from './pool-objects.ts';
import { isTakeable, poolKey, type PoolPod, stageOf } from './pool-pod.ts';
import type { PodView } from './pod-view.ts';

const FIELD_MANAGER = 'fissium-poolmgr';
const RETRY_BASE_MS = 1000;
const RETRY_CAP_MS = 30_000;

export interface PoolOptions extends PoolObjectOptions {
  readonly client: KubeClient;
  readonly view: PodView;
  readonly logger: Logger;
  /** Of a clock that never goes back, milliseconds. */
  readonly now: () => number;
  /** Pods of an environment that serve a function or are being specialised, of all its pools. */
  readonly busy: (environment: PoolEnvironment) => number;
}

interface Waiter {
  readonly give: (pod: PoolPod) => void;
}

/** Generic pods of one environment with the same resources: a Deployment, and who takes its pods. */
export class Pool {
  readonly key: string;
  readonly #options: PoolOptions;
  readonly #peak = new RecentPeak();
  readonly #waiters = new Set<Waiter>();
  /** Uids of pods that are given to somebody who has not relabelled them yet. */
  readonly #given = new Set<string>();
  #environment: PoolEnvironment;
  #deployment: PoolDeployment;
  #replicas: number;
  #isAtMaximum = false;
  /** What is known to be on the cluster. */
  #applied: { readonly template: string; readonly replicas: number } | undefined;
  #applying: Promise<void> | undefined;
  readonly #backoff = new Backoff(RETRY_BASE_MS, RETRY_CAP_MS);
  #retryAtMs = 0;

  /** @throws FissiumError RESOURCE_INVALID where the environment's changes of the pod do not fit */
  constructor(environment: PoolEnvironment, options: PoolOptions) {
    this.#options = options;
    this.#environment = environment;
    this.#deployment = poolDeployment(environment, options);
    this.#replicas = this.#minimum;
    this.key = poolKey(environment.object.metadata.uid ?? '', options.resourceClass?.name ?? USUAL_CLASS);
  }

  get environment(): PoolEnvironment {
    return this.#environment;
  }

  /** Of its pods' resources. */
  get resourceClass(): string {
    return this.#options.resourceClass?.name ?? USUAL_CLASS;
  }

  get name(): string {
    return this.#deployment.metadata.name;
  }

  get namespace(): string {
    return this.#deployment.metadata.namespace ?? 'default';
  }

  /** Functions that wait for a pod. */
  get waiting(): number {
    return this.#waiters.size;
  }

  get hasFreePod(): boolean {
    return this.#takeable().length > 0;
  }

  /** @throws FissiumError RESOURCE_INVALID where the environment's changes of the pod do not fit; it stays as it was */
  update(environment: PoolEnvironment): void {
    this.#deployment = poolDeployment(environment, this.#options);
    this.#environment = environment;
  }

  /** Forgets what is known to be on the cluster, so that the next {@link sync} writes it anew. */
  distrust(): void {
    this.#applied = undefined;
  }

  /**
   * A pod that is ready and that nobody else has been given; waits for one. Give it back with {@link release} where it
   * could not be taken. Rejects with the signal's reason.
   */
  async take(signal: AbortSignal): Promise<PoolPod> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<PoolPod>();
    const waiter: Waiter = { give: resolve };
    const giveUp = (): void => {
      if (this.#waiters.delete(waiter))
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    };
    this.#waiters.add(waiter);
    signal.addEventListener('abort', giveUp, { once: true });
    this.pump();
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  release(pod: PoolPod): void {
    this.#given.delete(pod.metadata.uid ?? '');
    this.pump();
  }

  /** Gives out pods that have become ready, the oldest waiter first. */
  pump(): void {
    if (this.#waiters.size === 0) return;
    const free = this.#takeable().slice(0, this.#room);
    for (const waiter of this.#waiters) {
      const pod = free.shift();
      if (pod === undefined) return;
      this.#waiters.delete(waiter);
      this.#given.add(pod.metadata.uid ?? '');
      waiter.give(pod);
    }
  }

  /**
   * How many pods the Deployment is to have from now on; {@link sync} writes it.
   * @param queued requests that wait for functions of the environment
   */
  scale(queued: number): void {
    this.#forgetGiven();
    const busy = this.#options.busy(this.#environment);
    const { scaling } = this.#environment.resolved;
    const missing = this.#waiters.size;
    const reserve = this.#peak.next(
      reserveOf(this.#minimum, busy, scaling),
      scaling.idleTimeoutMs,
      this.#options.now(),
    );
    this.#replicas = wantedGenericPods({ reserve, busy, missing, queued }, scaling);
    this.#isAtMaximum = missing > 0 && busy + missing > scaling.maxPods;
  }

  /** Whether enough time has gone by since it could not be written. */
  get mayTry(): boolean {
    return this.#options.now() >= this.#retryAtMs;
  }

  /** Writes the Deployment where it is not as wanted. Rejects where the API server refuses. */
  async sync(): Promise<void> {
    while (this.#applying !== undefined) await this.#applying.catch(() => undefined);
    if (!this.#isBehind()) return;
    this.#applying = this.#apply().finally(() => {
      this.#applying = undefined;
    });
    await this.#applying;
  }

  /** Why no pod becomes free; undefined where one is, or where they are only starting. */
  trouble(): Trouble | undefined {
    if (this.#isAtMaximum) {
      const { maxPods } = this.#environment.resolved.scaling;
      return {
        reason: 'PoolAtMaximum',
        message: `Environment ${this.#environment.resolved.name} has its maximum of ${maxPods} pods (spec.scaling.maxPods); raise it, or let functions take more requests in each (requestsPerPod).`,
      };
    }
    if (this.#takeable().length > 0) return undefined;
    for (const pod of this.#options.view.ofPool(this.key)) {
      if (stageOf(pod) !== 'generic' || !this.#isCurrent(pod)) continue;
      const trouble = troubleOf(pod);
      if (trouble !== undefined) return inWordsOfPools(trouble);
    }
    return undefined;
  }

  /** Of a class of its own: one pod, where the environment keeps any. */
  get #minimum(): number {
    const { poolSize } = this.#environment.resolved;
    return this.#options.resourceClass === null ? poolSize : Math.min(poolSize, 1);
  }

  /** Pods that may yet be taken before the environment has its maximum. */
  get #room(): number {
    const { maxPods } = this.#environment.resolved.scaling;
    return Math.max(0, maxPods - this.#options.busy(this.#environment) - this.#given.size);
  }

  #takeable(): PoolPod[] {
    return this.#options.view
      .ofPool(this.key)
      .filter((pod) => isTakeable(pod, this.#template) && !this.#given.has(pod.metadata.uid ?? ''));
  }

  get #template(): string {
    return this.#deployment.metadata.annotations?.[TEMPLATE_ANNOTATION] ?? '';
  }

  #isCurrent({ metadata }: PoolPod): boolean {
    return metadata.annotations?.[TEMPLATE_ANNOTATION] === this.#template;
  }

  /** Those that were relabelled, or are gone, cannot be given again. */
  #forgetGiven(): void {
    const generic = new Set<string>();
    for (const pod of this.#options.view.ofPool(this.key)) {
      if (stageOf(pod) === 'generic') generic.add(pod.metadata.uid ?? '');
    }
    for (const uid of this.#given) if (!generic.has(uid)) this.#given.delete(uid);
  }

  #isBehind(): boolean {
    return this.#applied?.template !== this.#template || this.#applied.replicas !== this.#replicas;
  }

  async #apply(): Promise<void> {
    const wanted = { template: this.#template, replicas: this.#replicas };
    const { metadata, spec } = this.#deployment;
    this.#retryAtMs = this.#options.now() + this.#backoff.next();
    await this.#options.client.apply<PoolDeployment>(
      RESOURCES.deployments,
      { metadata, spec: { ...spec, replicas: wanted.replicas } } as PoolDeployment,
      { fieldManager: FIELD_MANAGER },
    );
    this.#applied = wanted;
    this.#backoff.reset();
    this.#retryAtMs = 0;
    this.#options.logger.debug({ pool: keyOf(this.#deployment), ...wanted }, 'pool written');
  }
}

function inWordsOfPools({ reason, message }: Trouble): Trouble {
  if (reason === 'Unschedulable' && /too many pods/i.test(message))
    return { reason: 'NodeOutOfPods', message };
  return { reason, message };
}
