/**
 * Ends guests that use more CPU time than they may, and those that nobody waits for any more; makes those that
 * compute for long give way to what else there is to do in their thread.
 */
import { FissiumError } from '../../src/errors.ts';
import type { ExecutorThread } from './executor-thread.ts';

const TICK_MS = 10;
/** How long a guest may hold its thread before it is asked to give way, ms; and where a call waits for the thread. */
const SLICE_MS = 10;
const SHORT_SLICE_MS = 1;
/** How long a guest may run on after its kill word was written, before its whole thread is ended. */
const KILL_GRACE_MS = 1000;

export class Watchdog {
  readonly #threads: () => Iterable<ExecutorThread>;
  readonly #onTick: () => boolean;
  #timer: NodeJS.Timeout | null = null;
  #soon: NodeJS.Timeout | null = null;
  #closed = false;

  /** @param onTick whether there is still something to wait for, other than the calls that threads have */
  constructor(threads: () => Iterable<ExecutorThread>, onTick: () => boolean) {
    this.#threads = threads;
    this.#onTick = onTick;
  }

  /** Watches from now on, until no thread has a call: an idle platform does not wake up a hundred times a second. */
  wake(): void {
    if (this.#closed || this.#timer) return;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** A call was given to this thread: a long computation in it lets the call go first, a short one is left alone. */
  called(thread: ExecutorThread): void {
    const { life, heldMs } = thread.running();
    if (life === 0) return;
    if (heldMs >= SHORT_SLICE_MS) thread.control.askToYield(life);
    else
      this.#soon ??= setTimeout(() => {
        this.#soon = null;
        for (const each of this.#threads()) if (each.unstarted > 0) this.#check(each);
      }, SHORT_SLICE_MS).unref();
  }

  close(): void {
    this.#closed = true;
    this.#sleep();
    if (this.#soon) clearTimeout(this.#soon);
  }

  #sleep(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  #tick(): void {
    let calls = 0;
    for (const thread of this.#threads()) {
      calls += thread.load;
      this.#check(thread);
    }
    if (!this.#onTick() && calls === 0) this.#sleep();
  }

  #check(thread: ExecutorThread): void {
    const { life, usedMs, heldMs } = thread.running();
    const call = life === 0 ? undefined : thread.call(life);
    if (!call) return;
    if (usedMs > call.cpuTimeMs && !call.ending) {
      call.abort(
        new FissiumError(
          'CPU_LIMIT',
          `the function used more CPU time than one request may (${call.cpuTimeMs} ms); raise spec.wasm.cpuTime if it needs more`,
        ),
      );
    }
    if (!call.ending) {
      // Even where no call waits: a timer or a body may.
      if (heldMs >= (thread.unstarted > 0 ? SHORT_SLICE_MS : SLICE_MS)) thread.control.askToYield(life);
      return;
    }
    const now = performance.now();
    if (call.killedAtMs === 0) call.killedAtMs = now;
    thread.control.kill(life);
    if (now - call.killedAtMs > KILL_GRACE_MS) thread.terminate();
  }
}
