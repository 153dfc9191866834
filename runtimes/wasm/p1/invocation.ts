/** One run of a CGI program: its streams, its end, and the waiting that gives its thread to others. */
import { FissiumError } from '../../../src/errors.ts';
import type { InterruptControl, InvocationContext } from '../engine.ts';
import { LOG_BYTES_CAP } from '../wasi/limits.ts';
import { GuestMemory } from './guest-memory.ts';
import { Stdout, type Stdin } from './stdio.ts';

/** Byte 0 of the control memory (see `engine.ts`, InterruptControl). */
const KILL_WORD = 0;

/** Thrown through the guest to unwind it. A guest can catch it, but gets no further than its next check. */
export class GuestUnwind extends Error {}

export class Invocation {
  readonly context: InvocationContext;
  readonly memory = new GuestMemory();
  readonly stdin: Stdin;
  readonly stdout: Stdout;
  /** Settles where the run is over without its guest: nobody waits any more, or a stream failed. */
  readonly dropped: Promise<never>;
  readonly #drop: (error: unknown) => void;
  readonly #control: InterruptControl;
  readonly #onAbort = (): void => this.#fail(clientGone());
  #over = false;
  #exitCode: number | null = null;
  #failure: unknown = null;
  #logBytes = 0;

  constructor(context: InvocationContext, stdin: Stdin, control: InterruptControl) {
    this.context = context;
    this.stdin = stdin;
    this.stdout = new Stdout(context.response);
    this.#control = control;
    const { promise, reject } = Promise.withResolvers<never>();
    this.dropped = promise;
    this.#drop = reject;
    // Only a suspended run listens to it; a run that never waits would leave it unhandled.
    promise.catch(() => undefined);
    context.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** What the guest gave to `proc_exit`, or null. */
  get exitCode(): number | null {
    return this.#exitCode;
  }

  /** Why the host ended the guest, or null. */
  get failure(): unknown {
    return this.#failure;
  }

  /** First in each host function: an ended guest gets nothing more, whatever it caught. */
  check(): void {
    if (this.#over) throw new GuestUnwind('the guest has ended');
  }

  exit(code: number): never {
    this.#exitCode = code;
    return this.#unwind();
  }

  /** Ends the guest from within a host function. */
  fail(error: unknown): never {
    this.#failure ??= error;
    return this.#unwind();
  }

  /**
   * Suspends the guest while something is waited for. The guest is dropped where that fails or where nobody
   * waits any more: it is never resumed then, and its stack and memory are the garbage collector's.
   */
  async suspend(wait: () => Promise<void>): Promise<void> {
    this.context.turn.release();
    try {
      // What the guest has said so far should not wait with it.
      await this.stdout.flush();
      await wait();
    } catch (error) {
      this.#fail(error);
    }
    if (!this.#over) await this.context.turn.take();
    if (!this.#over) return;
    this.context.turn.release();
    await new Promise<never>(() => undefined);
  }

  log(bytes: Uint8Array): void {
    if (this.#logBytes >= LOG_BYTES_CAP) return;
    this.#logBytes += bytes.length;
    this.context.log('stderr', bytes.slice());
    if (this.#logBytes >= LOG_BYTES_CAP) {
      this.say(
        `the rest of this request's output to stderr is dropped: it is more than ${LOG_BYTES_CAP / 1024} KiB`,
      );
    }
  }

  /** A line of the platform's in the guest's log. */
  say(line: string): void {
    this.context.log('stderr', Buffer.from(`fissium: ${line}\n`));
  }

  close(): void {
    this.#over = true;
    this.context.signal.removeEventListener('abort', this.#onAbort);
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure ??= error;
    this.#drop(error);
  }

  #unwind(): never {
    this.#over = true;
    // A `catch_all` of the guest's catches the exception, but not the trap at its next check.
    Atomics.store(new Int32Array(this.#control.memory.buffer), KILL_WORD, this.context.turn.life);
    throw new GuestUnwind('the guest has ended');
  }
}

export function clientGone(): FissiumError {
  return new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more');
}
