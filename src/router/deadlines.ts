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
  readonly #what: string;
  #firstByte: NodeJS.Timeout | undefined;
  #idle: NodeJS.Timeout | undefined;
  #total: NodeJS.Timeout | undefined;
  #lastProgressMs = performance.now();

  /** @param what names the function in messages */
  constructor(
    what: string,
    limits: DeadlineLimits,
    silenceCounts: () => boolean,
    expire: (error: FissiumError) => void,
  ) {
    this.#what = what;
    this.#limits = limits;
    this.#silenceCounts = silenceCounts;
    this.#expire = expire;
    const { firstByteTimeoutMs, totalTimeoutMs } = limits;
    this.#firstByte = setTimeout(() => {
      this.#end(
        'DEADLINE_EXCEEDED',
        `${what} had not begun its answer after ${firstByteTimeoutMs} ms (functionTimeout).`,
      );
    }, firstByteTimeoutMs);
    if (totalTimeoutMs !== null) {
      this.#total = setTimeout(() => {
        this.#end('DEADLINE_EXCEEDED', `${what} had not ended its answer after ${totalTimeoutMs} ms.`);
      }, totalTimeoutMs);
    }
    this.#watchIdle(limits.idleTimeoutMs);
  }

  /** Bytes moved, either way. */
  progress(): void {
    this.#lastProgressMs = performance.now();
  }

  /** The answer's head is there. */
  headArrived(): void {
    clearTimeout(this.#firstByte);
    this.progress();
  }

  stop(): void {
    clearTimeout(this.#firstByte);
    clearTimeout(this.#idle);
    clearTimeout(this.#total);
  }

  /** One timer that looks back, instead of one set anew for every chunk. */
  #watchIdle(delayMs: number): void {
    const { idleTimeoutMs } = this.#limits;
    this.#idle = setTimeout(() => {
      if (!this.#silenceCounts()) this.progress();
      const leftMs = this.#lastProgressMs + idleTimeoutMs - performance.now();
      if (leftMs > 1) this.#watchIdle(leftMs);
      else {
        this.#end(
          'IDLE_TIMEOUT',
          `No byte moved between the client and ${this.#what} for ${idleTimeoutMs} ms.`,
        );
      }
    }, delayMs);
  }

  #end(code: 'DEADLINE_EXCEEDED' | 'IDLE_TIMEOUT', message: string): void {
    this.stop();
    this.#expire(new FissiumError(code, message));
  }
}
