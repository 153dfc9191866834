/** What is to become of a function's pods. Pure. */
import type { Loads } from '../loads.ts';
import { podsFor } from '../pool-scaling.ts';
import type { Demand } from '../strategy.ts';

/** A pod of the function, as far as it matters here. */
export interface PodFacts {
  /** `namespace/name` */
  readonly key: string;
  readonly stage: 'claimed' | 'serving' | 'retiring';
  /** Whether it is of the wanted version, and fit to serve. */
  readonly isCurrent: boolean;
  /** How long it has been in its stage, milliseconds. */
  readonly ageMs: number;
  /** Calls that run there; undefined where no router has sent any in the last ten minutes. */
  readonly running: number | undefined;
  /** Since its last call ended; undefined with `running`. */
  readonly idleMs: number | undefined;
}

export interface Situation {
  readonly pods: readonly PodFacts[];
  /** Pods that are being specialised for it by this process. */
  readonly starting: number;
  readonly demand: Demand;
  readonly pool: {
    readonly requestsPerPod: number;
    readonly maxPods: number;
    readonly onceOnly: boolean;
    readonly retainPods: number;
  };
  readonly idleTimeoutMs: number;
  readonly startTimeoutMs: number;
  /** How long ago routers were asked what runs where; null where that is not known well enough to end anything. */
  readonly loadsAgeMs: number | null;
}

export interface Decision {
  /** Pods to specialise beside those that are being specialised. */
  readonly start: number;
  /** Keys of pods that are to get no more calls. */
  readonly retire: readonly string[];
  /** Keys of pods that have no calls, and get none. */
  readonly remove: readonly string[];
}

/** Routers learn of a pod that retires through their watch. */
const WATCH_DELAY_MS = 1500;
/** And must have had time to begin a call and to tell of it. */
const SETTLED_MS = 1000;

export function decide(situation: Situation): Decision {
  const { pods, starting, pool, demand, loadsAgeMs, startTimeoutMs } = situation;
  const current = pods.filter(({ stage, isCurrent }) => stage === 'serving' && isCurrent);
  const old = pods.filter(({ stage, isCurrent }) => stage === 'serving' && !isCurrent);
  const used = pool.onceOnly ? current.filter(({ running }) => running === 0) : [];
  const fresh = current.length - used.length;

  const elsewhere = sum(pods.filter(({ stage }) => stage === 'retiring').map(({ running = 0 }) => running));
  const calls = Math.max(0, demand.running - elsewhere) + demand.queued;
  // A function that is warm stays warm when it changes.
  const warm = Math.min(old.length, Math.max(1, pool.retainPods));
  const needed = Math.max(podsFor(calls, pool.requestsPerPod, pool.maxPods), warm);
  const start = Math.max(0, needed - fresh - starting);

  // Those of an old version serve until new ones can take their calls.
  const replaced = fresh >= needed ? old : [];
  const surplus = loadsAgeMs === null ? [] : idleOnes(current, used, situation);
  const retire = [...replaced, ...used, ...surplus].map(({ key }) => key);
  const remove = pods.filter((pod) => isOver(pod, loadsAgeMs, startTimeoutMs)).map(({ key }) => key);
  return { start, retire, remove };
}

/** Those that nobody has called for the function's idle time, the longest idle first, down to what it retains. */
function idleOnes(
  current: readonly PodFacts[],
  used: readonly PodFacts[],
  { pool, idleTimeoutMs }: Situation,
): PodFacts[] {
  const candidates = current.filter((pod) => !used.includes(pod));
  const idle = candidates
    .filter((pod) => idleFor(pod) >= idleTimeoutMs)
    .toSorted((one, other) => idleFor(other) - idleFor(one));
  return idle.slice(0, Math.max(0, candidates.length - pool.retainPods));
}

function idleFor({ running, idleMs, ageMs }: PodFacts): number {
  if (running === undefined || idleMs === undefined) return ageMs;
  return running > 0 ? 0 : Math.min(idleMs, ageMs);
}

function isOver(
  { stage, isCurrent, ageMs, running, idleMs }: PodFacts,
  loadsAgeMs: number | null,
  startTimeoutMs: number,
): boolean {
  // Taken for a version before, or by a process that is no more.
  if (stage === 'claimed') return !isCurrent || ageMs > startTimeoutMs;
  if (stage !== 'retiring' || loadsAgeMs === null || ageMs - loadsAgeMs < WATCH_DELAY_MS) return false;
  return (running ?? 0) === 0 && (idleMs ?? Number.POSITIVE_INFINITY) >= SETTLED_MS;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** What routers said of a pod when they were asked last. */
export function loadOf(loads: Loads, key: string): Pick<PodFacts, 'running' | 'idleMs'> {
  const load = loads.endpointOf(key);
  return { running: load?.running, idleMs: load?.idleMs };
}
