/**
 * How many requests run and wait, over all threads that take requests: words in memory that they share. Who waits
 * for whom stays in its thread; here is only what the limits are about.
 *
 * Word 0 is the number of all requests, word 1 that of the look that is going on (see {@link SharedCounts.nextLook});
 * a function's slot has four words: running, waiting, one that changes whenever somebody who waits should look again,
 * and the look in which it ran last.
 */

/** Functions beyond these share slots with others, and so their limits. */
const SLOTS = 65_536;
const HEAD_WORDS = 2;
const WORDS_PER_SLOT = 4;
const RUNNING = 0;
const WAITING = 1;
const CHANGES = 2;
const SERVED = 3;
const TOTAL = 0;
const LOOK = 1;

/** What a thread needs to take part; goes to it by postMessage. */
export interface CountsHandle {
  readonly shared: SharedArrayBuffer;
  /** The thread's own part of it, so that others can take it back when the thread is lost. */
  readonly own: SharedArrayBuffer;
}

function words(): SharedArrayBuffer {
  return new SharedArrayBuffer((HEAD_WORDS + SLOTS * WORDS_PER_SLOT) * Int32Array.BYTES_PER_ELEMENT);
}

function at(slot: number, word: number): number {
  return HEAD_WORDS + (slot % SLOTS) * WORDS_PER_SLOT + word;
}

export class SharedCounts {
  readonly #shared: Int32Array<SharedArrayBuffer>;
  readonly #own: Int32Array<SharedArrayBuffer>;

  /** Without a handle: new ones, with this thread as their first. */
  constructor(handle: CountsHandle = { shared: words(), own: words() }) {
    this.#shared = new Int32Array(handle.shared);
    // Look 0 is none: then a slot that was never used says so.
    Atomics.compareExchange(this.#shared, LOOK, 0, 1);
    this.#own = new Int32Array(handle.own);
  }

  /** For one more thread. */
  handle(): CountsHandle {
    return { shared: this.#shared.buffer, own: words() };
  }

  /** Takes back what a lost thread held. */
  forget({ own }: CountsHandle): void {
    const lost = new Int32Array(own);
    Atomics.sub(this.#shared, TOTAL, lost[TOTAL] ?? 0);
    for (let slot = 0; slot < SLOTS; slot++) {
      const running = lost[at(slot, RUNNING)] ?? 0;
      const waiting = lost[at(slot, WAITING)] ?? 0;
      if (running === 0 && waiting === 0) continue;
      Atomics.sub(this.#shared, at(slot, RUNNING), running);
      Atomics.sub(this.#shared, at(slot, WAITING), waiting);
      this.tell(slot);
    }
  }

  /** Requests that run or wait now. */
  get total(): number {
    return Atomics.load(this.#shared, TOTAL);
  }

  running(slot: number): number {
    return Atomics.load(this.#shared, at(slot, RUNNING));
  }

  waiting(slot: number): number {
    return Atomics.load(this.#shared, at(slot, WAITING));
  }

  /** Whether nobody runs or waits in the slot. */
  isFree(slot: number): boolean {
    return this.running(slot) === 0 && this.waiting(slot) === 0;
  }

  /** Each of these counts one more unless there are `limit` already. */
  tryCount(limit: number): boolean {
    return this.#tryAdd(TOTAL, limit);
  }

  tryRun(slot: number, limit: number): boolean {
    if (!this.#tryAdd(at(slot, RUNNING), limit)) return false;
    // Nobody waits for these two words: they need be no atomics.
    this.#shared[at(slot, SERVED)] = this.#shared[LOOK] ?? 0;
    return true;
  }

  /** Ends a look at what is served, and begins the next; the number of the one that has ended. */
  nextLook(): number {
    return Atomics.add(this.#shared, LOOK, 1);
  }

  /** The look in which something ran in the slot last; 0 where nothing ever did. */
  lastServed(slot: number): number {
    return Atomics.load(this.#shared, at(slot, SERVED));
  }

  tryWait(slot: number, limit: number): boolean {
    return this.#tryAdd(at(slot, WAITING), limit);
  }

  uncount(): void {
    this.#sub(TOTAL);
  }

  unrun(slot: number): void {
    this.#sub(at(slot, RUNNING));
  }

  unwait(slot: number): void {
    this.#sub(at(slot, WAITING));
  }

  /** Whoever waits in the slot, in whatever thread, is to look again. */
  tell(slot: number): void {
    const index = at(slot, CHANGES);
    Atomics.add(this.#shared, index, 1);
    Atomics.notify(this.#shared, index);
  }

  /** What {@link whenTold} is to be given: read it before looking whether there is room. */
  changes(slot: number): number {
    return Atomics.load(this.#shared, at(slot, CHANGES));
  }

  /** Resolves once the slot's waiters were told to look again since `changes` was read. */
  async whenTold(slot: number, changes: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#shared, at(slot, CHANGES), changes);
    if (waiting.async) await waiting.value;
  }

  #tryAdd(index: number, limit: number): boolean {
    for (;;) {
      const now = Atomics.load(this.#shared, index);
      if (now >= limit) return false;
      if (Atomics.compareExchange(this.#shared, index, now, now + 1) === now) break;
    }
    Atomics.add(this.#own, index, 1);
    return true;
  }

  #sub(index: number): void {
    Atomics.sub(this.#own, index, 1);
    Atomics.sub(this.#shared, index, 1);
  }
}
