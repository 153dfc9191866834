/**
 * The guest memory of one thread: what it holds against the process's limits, what it keeps to be used again, and
 * who waits for room. Under pressure it lets go, in this order, of memories kept for later and instances that
 * wait for a request, its own first and then other threads'; then `memory.grow` fails in guests, and requests
 * that need a new instance wait, and are refused after a while.
 */
import { FissiumError } from '../../../src/errors.ts';
import type { GuestSignal, InvocationContext } from '../engine.ts';
import { NO_LIMIT, ROOM_OFFSET, WANTED_OFFSET } from '../rewrite/grow-check.ts';
import { collectGarbage } from './garbage.ts';
import { PoolBudget } from './instance-pool.ts';
import { MemoryShelf, type MemoryShape } from './memories.ts';
import { SharedLimits, type LimitsHandle } from './shared-limits.ts';

/** What a new instance takes at once. */
export interface Need {
  readonly memories: number;
  /** In 64 KiB pages. */
  readonly pages: number;
}

export interface ThreadMemoryOptions {
  /** How long a request waits for room before it is refused. @default 10 s */
  readonly waitMs?: number;
  /** Idle instances. @default 500 */
  readonly maxIdle?: number;
  /** Memory of idle instances, bytes. @default 256 MiB */
  readonly maxIdleBytes?: number;
}

/** Something that keeps a memory alive: the count goes down when it is collected. */
interface Condemned {
  readonly target: WeakRef<object>;
  readonly need: Need;
  done: boolean;
}

interface Waiting {
  /** Takes what it needs, if it is there. */
  readonly attempt: () => boolean;
  readonly resolve: () => void;
}

const PAGE_BYTES = 65536;
const MIB = 1024 * 1024;
const WAIT_MS = 10_000;
/** Other threads give back without telling: those who wait look again so often. */
const POLL_MS = 5;
/** What is let go has to be made again: not more often than this. */
const PRESS_EVERY_MS = 200;
/** To collect garbage holds up the thread for some milliseconds: not more often than this. */
const SWEEP_EVERY_MS = 20;
/** What a thread reserves ahead for its guests to grow into: 8 MiB; who wants more at once asks for it. */
const ROOM_PAGES = 128;
const MAX_PAGES = 65536;
const ROOM_WORD = 0;
const WANTED_WORD = (WANTED_OFFSET - ROOM_OFFSET) / Int32Array.BYTES_PER_ELEMENT;

export class ThreadMemory {
  readonly shelf: MemoryShelf;
  readonly idle: PoolBudget;
  readonly #waitMs: number;
  #limits: SharedLimits | null = null;
  /** Of the control block: see `rewrite/grow-check.ts`. */
  #words: Int32Array | null = null;
  #sweeping = false;
  #pressedAt = -Infinity;
  #sweptAt = -Infinity;
  readonly #condemned = new Set<Condemned>();
  readonly #registry = new FinalizationRegistry((item: Condemned) => this.#collected(item));
  readonly #waiting: Waiting[] = [];
  #poll: NodeJS.Timeout | null = null;

  constructor(options: ThreadMemoryOptions = {}) {
    this.#waitMs = options.waitMs ?? WAIT_MS;
    this.idle = new PoolBudget({
      maxInstances: options.maxIdle ?? 500,
      maxBytes: options.maxIdleBytes ?? 256 * MIB,
    });
    this.shelf = new MemoryShelf();
  }

  /** Puts the thread under the process's limits, once, before it runs a guest. @param control its control block */
  attach(handle: LimitsHandle, control: WebAssembly.Memory): void {
    this.#limits = SharedLimits.attach(handle);
    this.#words = new Int32Array(control.buffer, ROOM_OFFSET, WANTED_WORD + 1);
    this.#setRoom(0);
    this.#limits.onAsked(() => {
      // Its own question comes back to it as well.
      if (performance.now() - this.#pressedAt >= PRESS_EVERY_MS) this.#letGo();
    });
  }

  /** Requests that wait for room. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Before a guest goes on: it finds some room to grow into, where there is any. */
  settle(): void {
    if (!this.#limits || !this.#words) return;
    const room = this.#readRoom();
    if (room >= ROOM_PAGES / 4) return;
    const more = ROOM_PAGES - room;
    if (this.#limits.take(0, more)) this.#setRoom(room + more);
  }

  /**
   * In a guest that asked for something: where it wants to grow further than there is room, finds as much as it
   * wants. False where the process has not so much left: then it does not grow.
   */
  findRoom(): boolean {
    if (!this.#limits || !this.#words) return true;
    const wanted = (this.#words[WANTED_WORD] ?? 0) >>> 0;
    if (wanted === 0) return true;
    this.#words[WANTED_WORD] = 0;
    const room = this.#readRoom();
    // No memory has more pages: it fails in any case.
    if (wanted <= room || wanted > MAX_PAGES) return true;
    const need = { memories: 0, pages: wanted - room };
    // What is let go for it includes the room itself.
    const found =
      this.#fits(need) || this.#press(() => this.#fits({ memories: 0, pages: wanted - this.#readRoom() }));
    if (found) this.#setRoom(wanted);
    return found;
  }

  /** Counts what is about to be made; false where there is no room, also after others were let go. */
  take(need: Need): boolean {
    if (!this.#limits) return true;
    return this.#fits(need) || this.#press(() => this.#fits(need));
  }

  /** Like {@link take}, of what is left: nobody has to let go of anything, or goes behind. */
  takeAtHand(need: Need): boolean {
    return this.#waiting.length === 0 && this.#fits(need);
  }

  /** Like {@link findRoom}, where the guest must find the room that it has, or be given up: nothing changes hands. */
  hasRoom(): boolean {
    if (!this.#words) return true;
    const wanted = (this.#words[WANTED_WORD] ?? 0) >>> 0;
    this.#words[WANTED_WORD] = 0;
    return wanted <= this.#readRoom();
  }

  /** Like {@link take}, in a guest's turn, which is given back while there is no room: see {@link wait} for how that fails. */
  async room(context: InvocationContext, need: Need): Promise<void> {
    if (this.#waiting.length === 0 && this.take(need)) return;
    context.turn.release();
    await this.wait(() => this.take(need), context.signal);
    await context.turn.take();
  }

  /** Gives back what was taken and not made. */
  giveBack({ memories, pages }: Need): void {
    if (!this.#limits) return;
    this.#limits.give(memories, pages);
    this.#serve();
  }

  /**
   * Waits until `attempt` succeeds, behind those that wait already.
   * @throws FissiumError PLATFORM_BUSY after a while, CLIENT_GONE where the signal is aborted meanwhile
   */
  async wait(attempt: () => boolean, signal: GuestSignal): Promise<void> {
    if (this.#waiting.length === 0 && attempt()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const item: Waiting = { attempt, resolve };
    const give = (error: FissiumError): void => {
      const at = this.#waiting.indexOf(item);
      if (at >= 0) this.#waiting.splice(at, 1);
      reject(error);
    };
    const onAbort = (): void =>
      give(new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more'));
    const timer = setTimeout(
      () =>
        give(
          new FissiumError(
            'PLATFORM_BUSY',
            `the platform runs as many functions, or functions with as much memory, as it may, and none ended within ${this.#waitMs} ms`,
          ),
        ),
      this.#waitMs,
    );
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else {
      this.#waiting.push(item);
      this.#poll ??= setInterval(() => this.#serve(), POLL_MS);
    }
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      if (this.#waiting.length === 0 && this.#poll) {
        clearInterval(this.#poll);
        this.#poll = null;
      }
    }
  }

  /** An instance became free, which somebody may wait for. */
  released(): void {
    if (this.#waiting.length > 0) this.#serve();
  }

  /** A memory of that shape that is all zero, already counted by {@link take} with its first size. */
  memory(shape: MemoryShape): WebAssembly.Memory {
    const kept = this.shelf.take(shape);
    if (!kept) return newMemory(shape);
    // It was counted when it was made.
    this.#limits?.give(1, shape.initialPages);
    return kept;
  }

  /** Takes a memory that nobody uses any more: kept for another instance (see {@link MemoryShelf.put}), or left to be collected. */
  recycle(memory: WebAssembly.Memory, maximumPages: number, mostlyZero = false): void {
    if (!this.shelf.put(memory, maximumPages, mostlyZero))
      this.condemn(memory, { memories: 1, pages: pagesOf(memory) });
    this.released();
  }

  /** Nobody uses this any more: it counts until it is collected. */
  condemn(target: object, need: Need): void {
    if (!this.#limits || need.memories + need.pages === 0) return;
    const item: Condemned = { target: new WeakRef(target), need, done: false };
    this.#condemned.add(item);
    this.#registry.register(target, item);
  }

  #fits({ memories, pages }: Need): boolean {
    return this.#limits?.take(memories, pages) ?? true;
  }

  /** Lets go of what is not needed now; whether that was `enough` at once. More may come back in a moment. */
  #press(enough: () => boolean): boolean {
    const now = performance.now();
    if (this.#condemned.size > 0 && now - this.#sweptAt >= SWEEP_EVERY_MS) {
      this.#sweep();
      if (enough()) return true;
    }
    if (now - this.#pressedAt < PRESS_EVERY_MS) return false;
    this.#pressedAt = now;
    this.#letGo();
    if (enough()) return true;
    this.#limits?.ask();
    return false;
  }

  /** Memories kept, idle instances, room reserved ahead. What is garbage then goes in the next turn of the event loop. */
  #letGo(): void {
    if (!this.#limits) return;
    this.idle.evictAll();
    for (const memory of this.shelf.clear()) this.condemn(memory, { memories: 1, pages: pagesOf(memory) });
    const room = this.#readRoom();
    if (room > 0) {
      this.#setRoom(0);
      this.#limits.give(0, room);
    }
    if (this.#sweeping) return;
    this.#sweeping = true;
    setImmediate(() => {
      this.#sweeping = false;
      this.#sweep();
      this.released();
    });
  }

  /** Collects what was condemned in earlier turns of the event loop: a reference made in this one keeps its target. */
  #sweep(): void {
    if (this.#condemned.size === 0) return;
    collectGarbage();
    this.#sweptAt = performance.now();
    for (const item of this.#condemned) if (item.target.deref() === undefined) this.#collected(item);
  }

  #collected(item: Condemned): void {
    if (item.done) return;
    item.done = true;
    this.#condemned.delete(item);
    this.giveBack(item.need);
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      const [first] = this.#waiting;
      if (!first?.attempt()) return;
      this.#waiting.shift();
      first.resolve();
    }
  }

  #readRoom(): number {
    return (this.#words?.[ROOM_WORD] ?? 0) ^ NO_LIMIT;
  }

  #setRoom(pages: number): void {
    if (this.#words) this.#words[ROOM_WORD] = pages ^ NO_LIMIT;
  }
}

function newMemory({ initialPages, maximumPages }: MemoryShape): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: initialPages, maximum: maximumPages });
  } catch (error) {
    throw new FissiumError('PLATFORM_BUSY', 'the system has no more memory for another instance', {
      cause: error,
    });
  }
}

export function pagesOf(memory: WebAssembly.Memory): number {
  return memory.buffer.byteLength / PAGE_BYTES;
}
