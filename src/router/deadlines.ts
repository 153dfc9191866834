import { FissiumError } from '../errors.ts';
import type { ResolvedFunction } from '../api/index.ts';

export type DeadlineLimits = Pick<
  ResolvedFunction['limits'],
  'firstByteTimeoutMs' | 'idleTimeoutMs' | 'totalTimeoutMs'
>;

/** Whose clocks they are. */
export interface Timed {
  /** Names the function in messages. */
  timed(): string;
  /** Whether silence now is the client's or function's fault, and not just the function's thinking. */
  silenceCounts(): boolean;
  /** Called once, with the failure. */
  expired(error: FissiumError): void;
}

/**
 * All that run in this thread, linked. Not a Set: one that is added to and deleted from for each request leaves old
 * tables behind that keep what was in them from the young generation's collector.
 */
let first: Deadlines | null = null;
/** One timer for all, for the first of them: most end long before it goes off. */
let timer: NodeJS.Timeout | undefined;
let timerMs = Infinity;

/** Puts it first, and gives what was. */
function prepended(deadlines: Deadlines): Deadlines | null {
  const before = first;
  first = deadlines;
  return before;
}

function watch(nextMs: number, now: number): void {
  if (nextMs >= timerMs) return;
  clearTimeout(timer);
  timerMs = nextMs;
  timer = setTimeout(look, Math.max(1, nextMs - now)).unref();
}

function look(): void {
  timerMs = Infinity;
  const now = performance.now();
  let nextMs = Infinity;
  for (let deadlines = first; deadlines !== null;) {
    // It may stop, and be unlinked, while it is looked at.
    const { next } = deadlines;
    nextMs = Math.min(nextMs, deadlines.look(now));
    deadlines = next;
  }
  watch(nextMs, now);
}

/**
 * The three clocks of one request: to the answer's head (from its arrival on, or from when its function was started),
 * between two chunks (either way), and from its arrival to the end.
 */
export class Deadlines {
  readonly #limits: DeadlineLimits;
  readonly #owner: Timed;
  readonly #startMs: number;
  #headArrived = false;
  /** From when on the answer's head is due. */
  #beganMs: number;
  /** Until when the function may be started, where it is not there yet. */
  #startingUntilMs: number | null = null;
  #lastProgressMs: number;
  /** Of the list of all. */
  next: Deadlines | null = null;
  #previous: Deadlines | null = null;

  /** @param startMs `performance.now()` now */
  constructor(owner: Timed, limits: DeadlineLimits, startMs: number) {
    this.#owner = owner;
    this.#limits = limits;
    this.#startMs = startMs;
    this.#beganMs = startMs;
    this.#lastProgressMs = startMs;
    this.next = prepended(this);
    if (this.next !== null) this.next.#previous = this;
    watch(this.#nextMs(), startMs);
  }

  /** Bytes moved, either way. */
  progress(): void {
    this.#lastProgressMs = performance.now();
  }

  /** There is nothing yet that runs the function: it has this long to be started, before its own time begins. */
  starting(withinMs: number): void {
    const now = performance.now();
    this.#startingUntilMs = now + withinMs;
    watch(this.#nextMs(), now);
  }

  /** It is there, and its time begins. */
  started(): void {
    const now = performance.now();
    this.#startingUntilMs = null;
    this.#beganMs = now;
    watch(this.#nextMs(), now);
  }

  /** The answer's head is there. */
  headArrived(): void {
    this.#headArrived = true;
    this.progress();
  }

  stop(): void {
    const { next } = this;
    const previous = this.#previous;
    if (next !== null) next.#previous = previous;
    if (previous !== null) previous.next = next;
    else if (first === this) first = next;
    // What is over keeps nothing alive.
    this.next = null;
    this.#previous = null;
  }

  /** When the first of the clocks runs out as things are. */
  #nextMs(): number {
    const { firstByteTimeoutMs, totalTimeoutMs, idleTimeoutMs } = this.#limits;
    const firstByteMs = this.#headArrived
      ? Infinity
      : (this.#startingUntilMs ?? this.#beganMs + firstByteTimeoutMs);
    const totalMs = totalTimeoutMs === null ? Infinity : this.#startMs + totalTimeoutMs;
    return Math.min(firstByteMs, totalMs, this.#lastProgressMs + idleTimeoutMs);
  }

  /** Whether one has run out; says when to look again. Only for the timer. */
  look(now: number): number {
    if (!this.#owner.silenceCounts()) this.#lastProgressMs = now;
    const nextMs = this.#nextMs();
    // Timers go off up to a millisecond early.
    if (nextMs - now > 1) return nextMs;
    this.#runOut(now);
    return Infinity;
  }

  #runOut(now: number): void {
    const { firstByteTimeoutMs, totalTimeoutMs, idleTimeoutMs } = this.#limits;
    const sinceMs = now - this.#startMs + 1;
    const what = this.#owner.timed();
    if (totalTimeoutMs !== null && sinceMs >= totalTimeoutMs)
      this.#end('DEADLINE_EXCEEDED', `${what} had not ended its answer after ${totalTimeoutMs} ms.`);
    else if (this.#startingUntilMs !== null && now + 1 >= this.#startingUntilMs) {
      this.#end('DEADLINE_EXCEEDED', `${what} was not started in time (SpecializationTimeout).`);
    } else if (!this.#headArrived && now - this.#beganMs + 1 >= firstByteTimeoutMs) {
      this.#end(
        'DEADLINE_EXCEEDED',
        `${what} had not begun its answer after ${firstByteTimeoutMs} ms (functionTimeout).`,
      );
    } else {
      this.#end('IDLE_TIMEOUT', `No byte moved between the client and ${what} for ${idleTimeoutMs} ms.`);
    }
  }

  #end(code: 'DEADLINE_EXCEEDED' | 'IDLE_TIMEOUT', message: string): void {
    this.stop();
    this.#owner.expired(new FissiumError(code, message));
  }
}
