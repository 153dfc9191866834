/** Ends guests that use more CPU time than they may, and those that nobody waits for any more. */
import { FissiumError } from '../../src/errors.ts';
import type { ExecutorThread } from './executor-thread.ts';

const TICK_MS = 20;
/** How long a guest may run on after its kill word was written, before its whole thread is ended. */
const KILL_GRACE_MS = 1000;

export class Watchdog {
  readonly #threads: () => Iterable<ExecutorThread>;
  readonly #onTick: () => void;
  readonly #timer: NodeJS.Timeout;

  constructor(threads: () => Iterable<ExecutorThread>, onTick: () => void) {
    this.#threads = threads;
    this.#onTick = onTick;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    for (const thread of this.#threads()) {
      const { life, usedMs } = thread.running();
      const call = life === 0 ? undefined : thread.call(life);
      if (!call) continue;
      if (usedMs > call.cpuTimeMs && !call.ending) {
        call.abort(
          new FissiumError(
            'CPU_LIMIT',
            `the function used more CPU time than one request may (${call.cpuTimeMs} ms); raise spec.wasm.cpuTime if it needs more`,
          ),
        );
      }
      if (!call.ending) continue;
      const now = performance.now();
      if (call.killedAtMs === 0) call.killedAtMs = now;
      thread.control.kill(life);
      if (now - call.killedAtMs > KILL_GRACE_MS) thread.terminate();
    }
    this.#onTick();
  }
}
