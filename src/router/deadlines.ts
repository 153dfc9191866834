import { FissiumError } from '../errors.ts';
import type { ResolvedFunction } from '../api/index.ts';

export type DeadlineLimits = Pick<
  ResolvedFunction['limits'],
  'firstByteTimeoutMs' | 'idleTimeoutMs' | 'totalTimeoutMs'
>;

/**
 * The three clocks of one request, all from its arrival on: to the answer's head, between two chunks (either
 * way), and to the end. Calls `expire` once, with the failure.
 */
export class Deadlines {
  readonly #limits: DeadlineLimits;
  readonly #expire: (error: FissiumError) => void;
  /** Whether silence now is the client's or function's fault, and not just the function's thinking. */
  readonly #silenceCounts: () => boolean;
  readonly #what: () => string;
  readonly #startMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #headArrived = false;
  #lastProgressMs = this.#startMs;

  /** @param what names the function in messages */
  constructor(
    what: () => string,
    limits: DeadlineLimits,
    silenceCounts: () => boolean,
    expire: (error: FissiumError) => void,
  ) {
    this.#what = what;
    this.#limits = limits;
    this.#silenceCounts = silenceCounts;
    this.#expire = expire;
    this.#watch(this.#startMs);
  }

  /** Bytes moved, either way. */
  progress(): void {
    this.#lastProgressMs = performance.now();
  }

  /** The answer's head is there. */
  headArrived(): void {
    this.#headArrived = true;
    this.progress();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** One timer for all clocks, which looks back, instead of one set anew for every chunk. */
  #watch(now: number): void {
    this.#timer = setTimeout(this.#look, Math.max(1, this.#nextMs() - now));
  }

  /** When the first of the clocks runs out as things are. */
  #nextMs(): number {
    const { firstByteTimeoutMs, totalTimeoutMs, idleTimeoutMs } = this.#limits;
    const firstByteMs = this.#headArrived ? Infinity : this.#startMs + firstByteTimeoutMs;
    const totalMs = totalTimeoutMs === null ? Infinity : this.#startMs + totalTimeoutMs;
    return Math.min(firstByteMs, totalMs, this.#lastProgressMs + idleTimeoutMs);
  }

  readonly #look = (): void => {
    const now = performance.now();
    if (!this.#silenceCounts()) this.#lastProgressMs = now;
    // Timers go off up to a millisecond early.
    if (this.#nextMs() - now > 1) {
      this.#watch(now);
      return;
    }
    this.#runOut(now);
  };

  #runOut(now: number): void {
    const { firstByteTimeoutMs, totalTimeoutMs, idleTimeoutMs } = this.#limits;
    const sinceMs = now - this.#startMs + 1;
    if (totalTimeoutMs !== null && sinceMs >= totalTimeoutMs)
      this.#end('DEADLINE_EXCEEDED', `${this.#what()} had not ended its answer after ${totalTimeoutMs} ms.`);
    else if (!this.#headArrived && sinceMs >= firstByteTimeoutMs) {
      this.#end(
        'DEADLINE_EXCEEDED',
        `${this.#what()} had not begun its answer after ${firstByteTimeoutMs} ms (functionTimeout).`,
      );
    } else {
      this.#end(
        'IDLE_TIMEOUT',
        `No byte moved between the client and ${this.#what()} for ${idleTimeoutMs} ms.`,
      );
    }
  }

  #end(code: 'DEADLINE_EXCEEDED' | 'IDLE_TIMEOUT', message: string): void {
    this.stop();
    this.#expire(new FissiumError(code, message));
  }
}
