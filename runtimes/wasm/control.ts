/**
 * The control block of an executor thread: one page of memory that the main thread and the thread share.
 * Rewritten guests import it and look at word 0 at loop heads and function entries (`rewrite/interrupt.ts`); the
 * watchdog reads who runs and since when. Times are milliseconds of the process-wide monotonic clock, cut to 31
 * bits.
 *
 * Word 0 holds what is asked of a guest, by the number of its life: a life, to end it; the same number negative,
 * to give way. 0 asks nothing. Both are for the guest that runs: whoever is entered next starts with 0, and what
 * arrives late names a life that does not run, and is passed over.
 */

const REQUEST = 0;
const RUNNING = 1;
const SINCE = 2;
const USED_US = 3;
const LIMIT_MS = 4;
const CALLS = 5;
const WATCHED = 6;
const KILLED = 7;

/** What the watchdog sees of a thread. */
export interface RunningGuest {
  /** 0: no guest runs. */
  readonly life: number;
  /** CPU time that this life has used up to now, ms. */
  readonly usedMs: number;
  /** CPU time that it may use, ms. */
  readonly limitMs: number;
  /** How long it has held the thread without giving its turn back, ms. */
  readonly heldMs: number;
}

const MASK = 0x7fffffff;

/** What this thread's `performance.now()` lags behind the clock that all threads share, ms. */
const BEHIND_MS = lagMs();

/**
 * Two clocks cannot be read at once, and a thread that is starting on a busy machine may lose its core between the
 * two: the pair that was read fastest counts.
 */
function lagMs(): number {
  let best = Infinity;
  let lag = 0;
  for (let i = 0; i < 5; i++) {
    const before = performance.now();
    const shared = Number(process.hrtime.bigint() / 1_000n) / 1000;
    const tookMs = performance.now() - before;
    if (tookMs >= best) continue;
    best = tookMs;
    lag = shared - before;
  }
  return lag;
}

function nowMs(): number {
  return Math.floor((performance.now() + BEHIND_MS) % MASK);
}

const NOBODY: RunningGuest = { life: 0, usedMs: 0, limitMs: 0, heldMs: 0 };

export class ControlBlock {
  readonly memory: WebAssembly.Memory;
  readonly #words: Int32Array;

  constructor(memory?: WebAssembly.Memory) {
    this.memory = memory ?? new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    this.#words = new Int32Array(this.memory.buffer, 0, 16);
  }

  /** Ends the guest with this life at its next check, if it runs; without effect on any other. */
  kill(life: number): void {
    Atomics.store(this.#words, KILLED, life);
    Atomics.store(this.#words, REQUEST, life);
  }

  /** Asks the guest with this life, if it runs, to give its turn back at its next check and wait for the next. */
  askToYield(life: number): void {
    // Never in place of its end.
    Atomics.compareExchange(this.#words, REQUEST, 0, -life);
  }

  /** In the thread: whether this guest was to end because of {@link kill}, and not by its own host. */
  isKilled(life: number): boolean {
    return Atomics.load(this.#words, KILLED) === life;
  }

  /** In the thread: what is asked of the guest with this life. To give way is asked only once. */
  asked(life: number): 'end' | 'yield' | 'nothing' {
    const request = Atomics.load(this.#words, REQUEST);
    if (request === life) return 'end';
    Atomics.compareExchange(this.#words, REQUEST, request, 0);
    return request === -life ? 'yield' : 'nothing';
  }

  /** In the thread: nothing is asked any more. */
  forget(): void {
    Atomics.store(this.#words, REQUEST, 0);
  }

  /** The thread enters or resumes a guest that has used `usedUs` microseconds so far, of `limitMs` milliseconds. */
  enter(life: number, usedUs: number, limitMs: number = MASK): void {
    const words = this.#words;
    Atomics.store(words, SINCE, nowMs());
    Atomics.store(words, USED_US, usedUs);
    Atomics.store(words, LIMIT_MS, limitMs);
    Atomics.store(words, REQUEST, 0);
    Atomics.store(words, RUNNING, life);
  }

  /** The guest suspended, returned or trapped. */
  leave(): void {
    Atomics.store(this.#words, RUNNING, 0);
  }

  running(): RunningGuest {
    const life = Atomics.load(this.#words, RUNNING);
    if (life === 0) return NOBODY;
    const sinceMs = (nowMs() - Atomics.load(this.#words, SINCE) + MASK) % MASK;
    // The other thread's clock may be a little ahead of this one's: then it has only just begun.
    const heldMs = sinceMs > MASK / 2 ? 0 : sinceMs;
    const usedMs = Atomics.load(this.#words, USED_US) / 1000 + heldMs;
    const limitMs = Atomics.load(this.#words, LIMIT_MS);
    // Another guest may have been entered between the loads: then say nothing this time.
    return Atomics.load(this.#words, RUNNING) === life ? { life, usedMs, limitMs, heldMs } : NOBODY;
  }

  /** Calls that the thread holds, begun or not. */
  get calls(): number {
    return Atomics.load(this.#words, CALLS);
  }

  /**
   * In the thread: a call came (1) or went (-1).
   * @returns whether nobody watches the thread, who has to be told now
   */
  countCall(change: 1 | -1): boolean {
    Atomics.add(this.#words, CALLS, change);
    return change === 1 && Atomics.exchange(this.#words, WATCHED, 1) === 0;
  }

  /** Somebody looks at this thread from now on. */
  watch(): void {
    Atomics.store(this.#words, WATCHED, 1);
  }

  /** Nobody looks any more, unless the thread has calls. @returns whether that is so */
  unwatch(): boolean {
    Atomics.store(this.#words, WATCHED, 0);
    // A call that came in between found itself watched, and told nobody.
    if (this.calls === 0) return true;
    this.watch();
    return false;
  }
}
