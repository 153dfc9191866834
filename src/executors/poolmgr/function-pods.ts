import type { Logger } from 'pino';

import { Backoff, type Events, keyOf, RESOURCES } from '../../kube/index.ts';
import type { Loads } from '../loads.ts';
import type { Demand, StrategyVerdict } from '../strategy.ts';
import { decide, loadOf, type PodFacts } from './decide.ts';
import { SpecialiseFailure } from './fetcher-client.ts';
import { PodTimes } from './pod-times.ts';
import type { PodView } from './pod-view.ts';
import type { PoolFunction } from './pool-function.ts';
import { type PoolPod, stageOf, versionOf } from './pool-pod.ts';
import { type Resizing, resizeTrouble } from './resizing.ts';
import type { Specialiser } from './specialiser.ts';

export interface FunctionPodsOptions {
  readonly view: PodView;
  readonly specialiser: Specialiser;
  readonly resizing: Resizing;
  readonly loads: Loads;
  readonly events: Events;
  readonly logger: Logger;
  readonly now: () => number;
  /** Called when what {@link FunctionPods.failure} says is another. */
  readonly onFailureChange: () => void;
  /** Called when pods were asked for, so that the pool can follow. */
  readonly onStart: () => void;
}

/** What a router says it needs is repeated each second. */
const DEMAND_VALID_MS = 3000;
const LOADS_VALID_MS = 5000;
const RETRY_BASE_MS = 1000;
const RETRY_CAP_MS = 60_000;

/** The specialised pods of one function. */
export class FunctionPods {
  readonly #options: FunctionPodsOptions;
  readonly #times = new PodTimes();
  /** Uids of pods that do not serve as they should, though their version is the wanted one. */
  readonly #unfit = new Set<string>();
  /** Keys of pods that are being retired or deleted. */
  readonly #writing = new Set<string>();
  #plan: PoolFunction;
  #demand: (Demand & { readonly atMs: number }) | undefined;
  /** Those of the plan; ended with it. */
  #workers = new Set<Promise<void>>();
  #stop = new AbortController();
  #backoff = new Backoff(RETRY_BASE_MS, RETRY_CAP_MS);
  #retryAtMs = 0;
  #failure: StrategyVerdict | undefined;

  constructor(plan: PoolFunction, options: FunctionPodsOptions) {
    this.#plan = plan;
    this.#options = options;
  }

  get plan(): PoolFunction {
    return this.#plan;
  }

  /** Why the last pod of this version could not be specialised; undefined once one was. */
  get failure(): StrategyVerdict | undefined {
    return this.#failure;
  }

  get isServed(): boolean {
    return this.#pods().some((pod) => stageOf(pod) === 'serving');
  }

  /** Pods that are being specialised. */
  get starting(): number {
    return this.#workers.size;
  }

  /** Calls that wait, as far as is known. */
  get queued(): number {
    return this.#currentDemand().queued;
  }

  /** The function, or what its code sees, may be another version now. */
  update(plan: PoolFunction): void {
    const isNew = plan.version !== this.#plan.version;
    this.#plan = plan;
    if (isNew) this.#begin();
    this.converge();
  }

  demand(demand: Demand): void {
    this.#demand = { ...demand, atMs: this.#options.now() };
    this.converge();
  }

  /** Brings the pods nearer to what is wanted; returns at once. */
  converge(): void {
    if (this.#stop.signal.aborted) return;
    const nowMs = this.#options.now();
    const pods = this.#pods();
    this.#times.update(pods, nowMs);
    this.#judge(pods, nowMs);
    const { resolved } = this.#plan.fn;
    const { start, retire, remove } = decide({
      pods: pods.flatMap((pod) => this.#factsOf(pod, nowMs)),
      starting: this.#workers.size,
      demand: this.#currentDemand(),
      pool: resolved.pods,
      idleTimeoutMs: resolved.idleTimeoutMs,
      startTimeoutMs: resolved.startTimeoutMs,
      loadsAgeMs: this.#loadsAge(nowMs),
    });
    this.#start(start, nowMs);
    for (const key of retire) this.#retire(key);
    for (const key of remove) this.#remove(key);
  }

  /** Ends what this process does for it; leaves the pods. */
  close(): void {
    this.#stop.abort(new Error('the function is no longer kept here'));
  }

  #begin(): void {
    this.#stop.abort(new Error('there is a newer version'));
    this.#stop = new AbortController();
    this.#workers = new Set();
    this.#backoff.reset();
    this.#retryAtMs = 0;
    this.#fail(undefined);
  }

  #pods(): PoolPod[] {
    return this.#options.view.ofFunction(this.#plan.fn.resolved.uid);
  }

  #factsOf(pod: PoolPod, nowMs: number): PodFacts[] {
    const stage = stageOf(pod);
    const key = keyOf(pod);
    if (stage === 'ending' || stage === 'generic') return [];
    return [
      {
        key,
        stage,
        isCurrent: versionOf(pod) === this.#plan.version && !this.#unfit.has(pod.metadata.uid ?? ''),
        ageMs: this.#times.age(pod, nowMs),
        ...loadOf(this.#options.loads, key),
      },
    ];
  }

  #currentDemand(): Demand {
    const nowMs = this.#options.now();
    if (this.#demand !== undefined && nowMs - this.#demand.atMs < DEMAND_VALID_MS) return this.#demand;
    const load = this.#options.loads.functionOf(this.#plan.fn.resolved.uid);
    return { running: load?.running ?? 0, queued: load?.queued ?? 0 };
  }

  #loadsAge(nowMs: number): number | null {
    const { completeAtMs } = this.#options.loads;
    if (completeAtMs === null || nowMs - completeAtMs > LOADS_VALID_MS) return null;
    return nowMs - completeAtMs;
  }

  /** Finds pods that serve no longer, or not as they should. */
  #judge(pods: readonly PoolPod[], nowMs: number): void {
    const { resourceClass, environment, recovers } = this.#plan;
    for (const pod of pods) {
      const { uid = '' } = pod.metadata;
      if (stageOf(pod) !== 'serving' || this.#unfit.has(uid)) continue;
      // A runtime that was started again is generic again, and answers calls with an error.
      if (!recovers && this.#times.wasRestarted(pod)) {
        this.#unfit.add(uid);
        this.warn(
          'RuntimeRestarted',
          `Pod ${pod.metadata.name} is replaced: its runtime ended and was started again.`,
        );
      }
      const trouble = resourceClass === null ? undefined : resizeTrouble(pod, this.#times.age(pod, nowMs));
      if (trouble === undefined || resourceClass === null) continue;
      this.#unfit.add(uid);
      this.#options.resizing.giveUp(environment.object.metadata.uid ?? '', resourceClass);
      this.warn(
        'ResizeRefused',
        `The node cannot give pod ${pod.metadata.name} the function's resources (${trouble}); pods with these resources are made for it from now on.`,
      );
    }
    for (const uid of this.#unfit) {
      if (!pods.some(({ metadata }) => metadata.uid === uid)) this.#unfit.delete(uid);
    }
  }

  #start(missing: number, nowMs: number): void {
    if (missing === 0 || nowMs < this.#retryAtMs) return;
    // Code that did not load is tried with one pod at a time.
    const most = this.#failure === undefined ? missing : Math.max(0, 1 - this.#workers.size);
    const workers = this.#workers;
    for (let i = 0; i < Math.min(missing, most); i += 1) {
      const worker: Promise<void> = this.#work(this.#plan, this.#stop.signal).finally(() => {
        workers.delete(worker);
        this.converge();
      });
      workers.add(worker);
    }
    this.#options.onStart();
  }

  /** Never rejects. */
  async #work(plan: PoolFunction, signal: AbortSignal): Promise<void> {
    const { resolved } = plan.fn;
    const begun = this.#options.now();
    try {
      const pod = await this.#options.specialiser.specialise(plan, signal);
      const ms = Math.round(this.#options.now() - begun);
      this.#options.logger.info(
        { function: keyOf(plan.fn.object), pod: pod.metadata.name, ms },
        'pod specialised',
      );
      if (plan !== this.#plan && plan.version !== this.#plan.version) return;
      this.#backoff.reset();
      this.#retryAtMs = 0;
      this.#fail(undefined);
    } catch (error) {
      if (signal.aborted) return;
      this.#retryAtMs = this.#options.now() + this.#backoff.next();
      const { reason, message } = wordsOf(error);
      this.#options.logger.warn(
        { err: error, namespace: resolved.namespace, function: resolved.name },
        'pod not specialised',
      );
      this.warn(reason, message);
      this.#fail({ ready: false, reason, message });
    }
  }

  #retire(key: string): void {
    const pod = this.#options.view.get(key);
    if (pod === undefined || stageOf(pod) !== 'serving') return;
    this.#write(key, async () => {
      await this.#options.specialiser.retire(pod);
    });
  }

  #remove(key: string): void {
    const pod = this.#options.view.get(key);
    if (pod === undefined) return;
    // A call that no router told of may end.
    const grace = stageOf(pod) === 'retiring' ? [null] : [];
    this.#write(key, () => this.#options.specialiser.discard(pod, ...grace));
  }

  #write(key: string, write: () => Promise<void>): void {
    if (this.#writing.has(key)) return;
    this.#writing.add(key);
    write()
      .catch((error: unknown) =>
        this.#options.logger.warn({ err: error, pod: key }, 'a pod could not be written'),
      )
      .finally(() => this.#writing.delete(key));
  }

  /** An event on the function. */
  warn(reason: string, message: string): void {
    this.#options.events.recordEvent(RESOURCES.functions, this.#plan.fn.object, 'Warning', reason, message);
  }

  #fail(failure: StrategyVerdict | undefined): void {
    if (this.#failure?.message === failure?.message && this.#failure?.reason === failure?.reason) return;
    this.#failure = failure;
    this.#options.onFailureChange();
  }
}

function wordsOf(error: unknown): { reason: string; message: string } {
  if (error instanceof SpecialiseFailure) return { reason: error.reason, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  return { reason: 'SpecialiseFailed', message: `A pod could not be specialised: ${message}` };
}
