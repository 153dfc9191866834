/** What a run of the suite leaves: the JSON file is exactly this, and the page is drawn from nothing else. */
import type { Machine } from './machine.ts';

export type Unit = 'ms' | 'µs' | 'req/s' | 'MiB' | 'MiB/s' | 'KiB' | '%';

/** Where in a scenario a series was measured, e.g. `{ connections: 16 }`. */
export type Point = Readonly<Record<string, string | number>>;

/** One figure of one rival, as often as it was measured. */
export interface Series {
  readonly rival: string;
  readonly metric: string;
  readonly at: Point;
  readonly unit: Unit;
  readonly better: 'less' | 'more';
  /** Every value, in the order in which it was measured. One per round, or one per event where `each` says so. */
  readonly raw: readonly number[];
  /** What one raw value is. */
  readonly each: string;
  /** What makes the figure doubtful, in words: errors, a load generator at its limit. */
  readonly doubts?: readonly string[];
  /** Details that explain the figure: errors by kind, CPU time, percentiles of the merged histogram. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** A part of a scenario that was not measured, and why. */
export interface NotRun {
  readonly rival: string;
  readonly what: string;
  readonly why: string;
}

export interface Method {
  /** What was done before the first value was taken. */
  readonly warmUp: string;
  readonly rounds: number;
  /** How the rounds and the rivals were interleaved. */
  readonly order: string;
  readonly program: string;
}

/** Somebody else's published figure, shown beside ours and never in a ratio. */
export interface Published {
  readonly who: string;
  readonly what: string;
  readonly value: string;
  readonly where: string;
}

export interface ScenarioResult {
  readonly name: string;
  /** The program, where a run has the scenario once more for another one than usual. */
  readonly variant?: string;
  readonly title: string;
  readonly what: string;
  readonly method: Method;
  readonly series: readonly Series[];
  readonly notRun: readonly NotRun[];
  readonly notes: readonly string[];
  readonly published?: readonly Published[];
  readonly loadAverageBefore: number;
  readonly loadAverageAfter: number;
  /** Share of all cores that programs of others used during the scenario, 0 to 1; null where unknown. */
  readonly othersBusy: number | null;
  readonly durationS: number;
}

export interface RivalRecord {
  readonly name: string;
  readonly title: string;
  readonly available: boolean;
  readonly version?: string;
  /** How it was found. */
  readonly how?: string;
  readonly why?: string;
  /** What an instance is to it: the most important difference between rivals. */
  readonly isolation: string;
}

/** What `fissium bench` measured: one function, without rivals. */
export interface SubjectRecord {
  readonly title: string;
  /** What a reader must know of it: its address, its executor, its package. */
  readonly facts: readonly string[];
}

export interface RunResult {
  readonly format: 1;
  /** Absent where programs were compared with each other. */
  readonly subject?: SubjectRecord;
  readonly command: string;
  readonly startedAt: string;
  readonly durationS: number;
  readonly quick: boolean;
  readonly machine: Machine;
  /** Said on top of every output. */
  readonly warnings: readonly string[];
  readonly rivals: readonly RivalRecord[];
  readonly scenarios: readonly ScenarioResult[];
}

/** What stands behind a number to say what it is; other names stand before their value. */
const COUNTED: Readonly<Record<string, readonly [one: string, many: string]>> = {
  connections: ['connection', 'connections'],
  functions: ['function', 'functions'],
  guests: ['guest', 'guests'],
  rate: ['request per second', 'requests per second'],
  requests: ['request', 'requests at once'],
};

/** `16 connections`, `code: one for all`, in the order in which the scenario wrote it. */
export function pointText(at: Point): string {
  return Object.entries(at)
    .map(([name, value]) => {
      const counted = COUNTED[name];
      if (counted === undefined || typeof value !== 'number') return `${name}: ${value}`;
      return `${value.toLocaleString('en-US')} ${counted[value === 1 ? 0 : 1]}`;
    })
    .join(', ');
}

/** Of the answers that a rate asks for, the least share with which a server keeps up. */
const KEEPS_UP = 0.98;

/** So late the last answers may be, ms, without the server being behind: in a short run that is more than its share. */
const LATE_MS = 200;

/** In words, where so many answers per second are too few for the rate in a run of this length; else null. */
export function behindRate(perSecond: number, ratePerS: number, durationMs: number): string | null {
  const lateMs = (ratePerS / perSecond - 1) * durationMs;
  if (perSecond >= ratePerS * KEEPS_UP || lateMs <= LATE_MS) return null;
  return `only ${Math.round(perSecond)} of ${ratePerS} answers per second: it does not keep up`;
}

/**
 * Whether the server kept up with the rate in most of the rounds. Where it did not, requests wait longer and longer, and
 * their latency tells how long the run was: it is no figure to compare with. True where no rate was set.
 */
export function keepsUp({ at, detail }: Pick<Series, 'at' | 'detail'>): boolean {
  const { rate } = at;
  if (typeof rate !== 'number') return true;
  const rounds = (detail?.['rounds'] ?? []) as readonly {
    readonly perSecond?: number;
    readonly durationMs?: number;
  }[];
  const behind = rounds.filter(
    ({ perSecond = rate, durationMs = Infinity }) => behindRate(perSecond, rate, durationMs) !== null,
  );
  return behind.length * 2 <= rounds.length;
}
