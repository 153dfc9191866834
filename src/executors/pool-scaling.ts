/**
 * How large a pool is to be, for pools of generic pods and of Wasm hosts alike. Two thresholds: fewer than a share
 * of it idle starts more before they are needed; more than a number of waiting requests scales at once to what the
 * queue needs. What is no longer needed goes after a time of idling.
 */
import type { ResolvedScaling } from '../api/index.ts';

/** A pool of pods that each serve one function once they are taken out of it. */
export interface GenericPool {
  /** Kept ready beside those that are needed now: the recent peak of {@link reserveOf}. */
  readonly reserve: number;
  /** Pods that serve a function, or are being specialised. */
  readonly busy: number;
  /** Pods that the functions need now and that the pool has not given them yet. */
  readonly missing: number;
  /** Requests that wait, over all functions and routers. */
  readonly queued: number;
}

/** Idle pods to keep beside the busy ones: the pool size, or the share of all that is to be idle. */
export function reserveOf(minimum: number, busy: number, { idlePercent }: Limits): number {
  // A share p of all: r ≥ p·(busy + r).
  return Math.max(minimum, Math.ceil((busy * idlePercent) / (100 - idlePercent)));
}

/** Generic pods to have, ready or starting; with the busy ones they are `maxPods` at most. */
export function wantedGenericPods(
  { reserve, busy, missing, queued }: GenericPool,
  { queueThreshold, maxPods }: Limits,
): number {
  // A small queue may use up the reserve; beside a long one it stays.
  const wanted = queued > queueThreshold ? missing + reserve : Math.max(missing, reserve);
  return clamp(wanted, 0, Math.max(0, maxPods - busy));
}

/** A pool of hosts that each serve many functions and many requests at once. */
export interface HostPool {
  /** The environment's pool size. */
  readonly minimum: number;
  /** Requests that run, over all hosts. */
  readonly running: number;
  /** Requests that wait, over all functions and routers. */
  readonly queued: number;
}

/** Hosts to have of an environment; none only where nothing runs or waits and its pool size is 0. */
export function wantedHosts(
  { minimum, running, queued }: HostPool,
  {
    idlePercent,
    queueThreshold,
    maxPods,
    requestsPerHost,
  }: Limits & Pick<ResolvedScaling, 'requestsPerHost'>,
): number {
  const active = running + queued > 0 ? 1 : 0;
  // The idle share is 1 − running ÷ capacity.
  const forShare = Math.ceil((running * 100) / (requestsPerHost * (100 - idlePercent)));
  const forQueue = queued > queueThreshold ? Math.ceil((running + queued) / requestsPerHost) : 0;
  return clamp(Math.max(minimum, active, forShare, forQueue), 0, maxPods);
}

/** Pods that a function needs for so many requests. */
export function podsFor(requests: number, requestsPerPod: number, maxPods: number): number {
  return Math.min(Math.ceil(requests / requestsPerPod), maxPods);
}

type Limits = Pick<ResolvedScaling, 'idlePercent' | 'queueThreshold' | 'maxPods'>;

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(value, high));
}

/** The highest of the values of the last while: grows at once, shrinks when nothing has asked for as much for long. */
export class RecentPeak {
  /** Falling values, each with the time until which it counts. */
  #peaks: { readonly value: number; readonly untilMs: number }[] = [];

  /**
   * @param windowMs how long a value counts
   * @param nowMs of a clock that never goes back
   */
  next(value: number, windowMs: number, nowMs: number): number {
    this.#peaks = this.#peaks.filter((peak) => peak.value > value && peak.untilMs > nowMs);
    this.#peaks.push({ value, untilMs: nowMs + windowMs });
    return this.#peaks[0]?.value ?? value;
  }
}
