/** One run of a CGI program: its streams, its end, and the waiting that gives its thread to others. */
import { FissiumError } from '../../../src/errors.ts';
import type { EngineReceipt, InvocationContext } from '../engine.ts';
import type { GuestState } from '../wasi/state.ts';
import { Files } from './files.ts';
import { Stdout, type Stdin } from './stdio.ts';
import type { StringTable } from './string-table.ts';

export interface InvocationOptions {
  readonly state: GuestState;
  readonly stdin: Stdin;
  readonly args: StringTable;
  readonly environment: StringTable;
}

export class Invocation {
  /** What it may use and has used, and whether it may go on. */
  readonly state: GuestState;
  readonly stdin: Stdin;
  readonly stdout: Stdout;
  readonly args: StringTable;
  readonly environment: StringTable;
  #files: Files | null = null;
  #failure: unknown = null;

  constructor({ state, stdin, args, environment }: InvocationOptions) {
    this.state = state;
    this.stdin = stdin;
    this.stdout = new Stdout(state);
    this.args = args;
    this.environment = environment;
  }

  get context(): InvocationContext {
    return this.state.context;
  }

  get receipt(): EngineReceipt | null {
    return this.state.context.receipt;
  }

  /** Its descriptors; made when it asks for one that is no standard stream. */
  get files(): Files {
    this.#files ??= new Files(this.state);
    return this.#files;
  }

  /** What the guest gave to `proc_exit`, or null. */
  get exitCode(): number | null {
    const { stop } = this.state;
    return stop?.kind === 'exit' ? stop.exitCode : null;
  }

  /** Why the host ended the guest, where it was not for an exit, or null. */
  get failure(): unknown {
    if (this.#failure !== null) return this.#failure;
    const { stop, context } = this.state;
    if (stop === null || stop.kind === 'exit') return null;
    if (stop.kind !== 'ended') return stop;
    // The platform's own reason, where it had one: who made it hold too much is told so.
    return stop.cause instanceof FissiumError ? stop.cause : endedFailure(context);
  }

  /** The guest is gone: gives back what its files took. */
  close(): void {
    this.#files?.close();
  }

  /** Ends the guest from within a host function, for a failure that is its caller's answer. */
  fail(error: unknown): never {
    this.#failure ??= error;
    this.state.end(error);
    throw this.state.stop ?? error;
  }

  /**
   * Suspends the guest while something is waited for. Where that fails, or nobody waits for the guest any more,
   * the guest goes on into its end.
   */
  async suspend(wait: () => Promise<void>): Promise<void> {
    const { receipt } = this;
    const startedMs = receipt ? performance.now() : 0;
    const failed = (error: unknown): void => {
      this.#failure ??= error;
      this.state.end(error);
    };
    try {
      await this.state.suspend((wake) => {
        // What the guest has said so far should not wait with it.
        (this.stdout.flush() ?? Promise.resolve()).then(wait).then(wake, failed);
        return () => undefined;
      });
    } finally {
      if (receipt) receipt.waitingMs += performance.now() - startedMs;
    }
  }

  /** Resolves with `work`, or rejects when nobody waits any more. */
  async orEnded(work: Promise<void>): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>();
    const forget = this.state.onEnd(() => reject(this.failure ?? endedFailure(this.context)));
    try {
      await Promise.race([work, promise]);
    } finally {
      forget();
      promise.catch(() => undefined);
      work.catch(() => undefined);
    }
  }
}

function endedFailure({ signal }: InvocationContext): FissiumError {
  if (signal.reason instanceof FissiumError) return signal.reason;
  return new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more');
}
