/**
 * Ends guests that use more CPU time than they may, and those that nobody waits for any more; makes those that
 * compute for long give way to what else there is to do in their thread. Lives in the main thread, and sees of a
 * thread only its control block: which calls a listener thread has is nobody's business but its own.
 */
import type { ControlBlock } from './control.ts';

const TICK_MS = 10;
/** Between two looks while some guest computes for long, ms; also how long it may hold its thread at a time. */
const SLICE_MS = 1;
/** Slices are looked at for this long after the last guest that needed it, ms. */
const ALERT_MS = 100;
/** Threads are watched for this long after their last call, ms: most calls come soon after another. */
const IDLE_MS = 500;
/** How long a guest may run on after its kill word was written, before its whole thread is ended. */
const KILL_GRACE_MS = 1000;

/** What is watched. */
export interface WatchedThread {
  readonly control: ControlBlock;
  /** Whether nobody waits for this guest any more. */
  isUnwanted(life: number): boolean;
  /** The last resort, for a guest that cannot be interrupted. */
  terminate(): void;
}

export class Watchdog {
  readonly #threads: () => Iterable<WatchedThread>;
  readonly #killed = new WeakMap<WatchedThread, { life: number; sinceMs: number }>();
  #timer: NodeJS.Timeout | null = null;
  #periodMs = TICK_MS;
  #alertUntilMs = 0;
  #busyUntilMs = 0;
  readonly #onTick: () => void;
  #closed = false;

  /** @param onTick called at each look, at most a thousand times a second */
  constructor(threads: () => Iterable<WatchedThread>, onTick: () => void = () => undefined) {
    this.#threads = threads;
    this.#onTick = onTick;
  }

  /**
   * Watches from now on, until no thread has a call: an idle platform does not wake up a hundred times a second.
   * A thread says that it is not watched; see {@link ControlBlock.countCall}.
   */
  wake(): void {
    this.#busyUntilMs = performance.now() + IDLE_MS;
    if (this.#closed || this.#timer) return;
    for (const { control } of this.#threads()) control.watch();
    this.#run(TICK_MS);
  }

  close(): void {
    this.#closed = true;
    this.#stop();
  }

  #run(periodMs: number): void {
    this.#stop();
    this.#periodMs = periodMs;
    this.#timer = setInterval(() => this.#tick(), periodMs);
    this.#timer.unref();
  }

  #stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  #tick(): void {
    const now = performance.now();
    for (const thread of this.#threads()) {
      if (thread.control.calls > 0) this.#busyUntilMs = now + IDLE_MS;
      this.#check(thread, now);
    }
    this.#onTick();
    const wantedMs = now < this.#alertUntilMs ? SLICE_MS : TICK_MS;
    if (now > this.#busyUntilMs && this.#allIdle()) this.#stop();
    else if (wantedMs !== this.#periodMs) this.#run(wantedMs);
  }

  /** From here on a thread that gets a call says so. */
  #allIdle(): boolean {
    const threads = [...this.#threads()];
    if (threads.every(({ control }) => control.unwatch())) return true;
    for (const { control } of threads) control.watch();
    return false;
  }

  #check(thread: WatchedThread, now: number): void {
    const { life, usedMs, limitMs, heldMs } = thread.control.running();
    if (life === 0) return;
    if (usedMs > limitMs || thread.isUnwanted(life)) this.#kill(thread, life, now);
    else if (heldMs >= SLICE_MS) {
      this.#alertUntilMs = now + ALERT_MS;
      // What else the thread has to do, it alone knows.
      thread.control.askToYield(life);
    }
  }

  #kill(thread: WatchedThread, life: number, now: number): void {
    const before = this.#killed.get(thread);
    const killed = before?.life === life ? before : { life, sinceMs: now };
    this.#killed.set(thread, killed);
    thread.control.kill(life);
    if (now - killed.sinceMs > KILL_GRACE_MS) thread.terminate();
  }
}
