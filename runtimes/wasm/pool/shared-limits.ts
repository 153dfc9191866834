/**
 * What all threads of a process may hold together: live memories, of which the system allows a number, and bytes
 * of guest memory. Each thread counts its own share in a slot of a shared block, and the sum of the slots is what
 * is held: so a thread that dies gives everything back when the main thread clears its slot.
 */

/** Plain data: posted to the thread that the slot is for. */
export interface LimitsHandle {
  readonly buffer: SharedArrayBuffer;
  readonly slot: number;
}

export interface Caps {
  /** Live memories (running, suspended, idle and not yet collected). @default no cap */
  readonly maxMemories?: number;
  /** Bytes of guest memory, whether touched or not. @default no cap */
  readonly maxBytes?: number;
}

export interface Held {
  readonly memories: number;
  readonly bytes: number;
}

const PAGE_BYTES = 65536;
const NO_CAP = 0x7fffffff;

const MAX_MEMORIES = 0;
const MAX_PAGES = 1;
/** Raised when a thread needs room that others may have. */
const ASKED = 2;
/** Slots that were ever opened: those behind are zero. */
const OPENED = 3;
const FIRST_SLOT = 16;
const SLOT_WORDS = 2;
const SLOTS = 1024;

export class SharedLimits {
  readonly #words: Int32Array;
  readonly #at: number;
  /** Slots that were closed, for the next thread; the main thread's alone. */
  readonly #closed: number[] = [];

  /** In the main thread. */
  static create(caps: Caps = {}): SharedLimits {
    const buffer = new SharedArrayBuffer((FIRST_SLOT + SLOTS * SLOT_WORDS) * Int32Array.BYTES_PER_ELEMENT);
    const words = new Int32Array(buffer);
    words[MAX_MEMORIES] = Math.min(caps.maxMemories ?? NO_CAP, NO_CAP);
    words[MAX_PAGES] = Math.min(Math.floor((caps.maxBytes ?? Infinity) / PAGE_BYTES), NO_CAP);
    return new SharedLimits(buffer, 0);
  }

  /** In the thread that the handle was opened for. */
  static attach({ buffer, slot }: LimitsHandle): SharedLimits {
    return new SharedLimits(buffer, slot);
  }

  private constructor(buffer: SharedArrayBuffer, slot: number) {
    this.#words = new Int32Array(buffer);
    this.#at = FIRST_SLOT + slot * SLOT_WORDS;
  }

  get maxPages(): number {
    return this.#words[MAX_PAGES] ?? NO_CAP;
  }

  /** Threads that the caps are shared by, those that died not counted. */
  get threads(): number {
    return Math.max(1, Atomics.load(this.#words, OPENED) - this.#closed.length);
  }

  /** In the main thread: a slot for a new thread. @throws RangeError past 1024 threads */
  open(): LimitsHandle {
    const slot = this.#closed.pop() ?? Atomics.add(this.#words, OPENED, 1);
    if (slot >= SLOTS) throw new RangeError(`at most ${SLOTS} threads can share limits`);
    return { buffer: this.#words.buffer as SharedArrayBuffer, slot };
  }

  /** In the main thread, after the thread is gone: gives back what it held. */
  close({ slot }: LimitsHandle): void {
    const at = FIRST_SLOT + slot * SLOT_WORDS;
    for (let i = 0; i < SLOT_WORDS; i++) Atomics.store(this.#words, at + i, 0);
    this.#closed.push(slot);
  }

  /** What all threads hold now. */
  held(): Held {
    return { memories: this.#sum(0), bytes: this.#sum(1) * PAGE_BYTES };
  }

  /** Bytes of guest memory in the thread that has most. */
  mostBytes(): number {
    const end = this.#end;
    let most = 0;
    for (let at = FIRST_SLOT; at < end; at += SLOT_WORDS)
      most = Math.max(most, Atomics.load(this.#words, at + 1));
    return most * PAGE_BYTES;
  }

  /** Takes both or nothing; false where the caps leave no room. */
  take(memories: number, pages: number): boolean {
    this.#change(memories, pages);
    // Counted first and looked at then: of two threads that meet at the cap both may fail, but never both pass.
    const fits =
      (memories === 0 || this.#sum(0) <= (this.#words[MAX_MEMORIES] ?? NO_CAP)) &&
      (pages === 0 || this.#sum(1) <= this.maxPages);
    if (!fits) this.#change(-memories, -pages);
    return fits;
  }

  give(memories: number, pages: number): void {
    this.#change(-memories, -pages);
  }

  /** Asks every other thread to let go of what it holds in advance. */
  ask(): void {
    Atomics.add(this.#words, ASKED, 1);
    Atomics.notify(this.#words, ASKED);
  }

  /** Calls `listener` in this thread whenever some thread asks; does not keep the thread alive. */
  onAsked(listener: () => void): void {
    let seen = Atomics.load(this.#words, ASKED);
    const asked = (): void => {
      // Looked at first: who asks while the listener is at work is heard afterwards.
      seen = Atomics.load(this.#words, ASKED);
      listener();
      wait();
    };
    const wait = (): void => {
      const { async, value } = Atomics.waitAsync(this.#words, ASKED, seen);
      if (async) void value.then(asked);
      else setImmediate(asked).unref();
    };
    wait();
  }

  #change(memories: number, pages: number): void {
    if (memories !== 0) Atomics.add(this.#words, this.#at, memories);
    if (pages !== 0) Atomics.add(this.#words, this.#at + 1, pages);
  }

  /** Behind the last slot that was ever opened. */
  get #end(): number {
    return FIRST_SLOT + Math.max(1, Atomics.load(this.#words, OPENED)) * SLOT_WORDS;
  }

  #sum(word: number): number {
    const end = this.#end;
    let sum = 0;
    for (let at = FIRST_SLOT + word; at < end; at += SLOT_WORDS) sum += Atomics.load(this.#words, at);
    return sum;
  }
}
