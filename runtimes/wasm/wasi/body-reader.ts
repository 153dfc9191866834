import type { HeaderList } from '../../../src/executors/executor.ts';
import type { GuestBodySource } from '../engine.ts';
import type { StreamFailure } from './io-error.ts';
import { NOTHING_TO_DISARM, WakeList, type Disarm, type Readiness } from './readiness.ts';

/**
 * The reading end of a body: pulls a chunk only once the guest has asked for one, and holds one at most.
 * An input stream and, after it, the future trailers share it.
 */
export class BodyReader implements Readiness {
  readonly #source: GuestBodySource | null;
  readonly #describe: (error: unknown) => StreamFailure;
  readonly #wakes = new WakeList();
  #status: 'idle' | 'pulling' | 'chunk' | 'failed' | 'ended' = 'idle';
  #chunk: Uint8Array | null = null;
  /** As it came; the guest may have taken some of it, or all. */
  #whole: Uint8Array | null = null;
  #failure: StreamFailure | null = null;
  #cancelled = false;

  /**
   * @param source null for a body that is not there, which reads like an empty one
   * @param describe what a guest is told when the source rejects
   */
  constructor(source: GuestBodySource | null, describe: (error: unknown) => StreamFailure) {
    this.#source = source;
    this.#describe = describe;
    if (!source) this.#status = 'ended';
  }

  isReady(): boolean {
    if (this.#status === 'idle') this.#pull();
    return this.#status !== 'pulling';
  }

  arm(wake: () => void): Disarm {
    if (this.isReady()) {
      wake();
      return NOTHING_TO_DISARM;
    }
    return this.#wakes.arm(wake);
  }

  /** Nothing more will come, and whatever came was taken. */
  get ended(): boolean {
    return this.#status === 'ended';
  }

  /** The failure, once: afterwards the body has ended. */
  takeFailure(): StreamFailure | null {
    const failure = this.#failure;
    if (failure) {
      this.#failure = null;
      this.#status = 'ended';
    }
    return failure;
  }

  /** At most `maxBytes` of what is there; empty where nothing is there yet. */
  take(maxBytes: number): Uint8Array {
    if (!this.isReady() || !this.#chunk) return new Uint8Array(0);
    const chunk = this.#chunk;
    if (chunk.byteLength <= maxBytes) {
      this.#chunk = null;
      this.#status = 'idle';
      return chunk;
    }
    this.#chunk = chunk.subarray(maxBytes);
    return chunk.subarray(0, maxBytes);
  }

  /** Reads and drops the rest, then gives the trailers. Rejects as the source does. */
  async rest(): Promise<HeaderList> {
    const source = this.#source;
    if (!source) return [];
    while (this.#status !== 'ended') {
      if (!this.isReady()) await new Promise<void>((resolve) => this.#wakes.arm(resolve));
      if (this.#failure) throw new BodyFailed(this.#failure);
      if (this.#status === 'chunk') {
        this.#chunk = null;
        this.#status = 'idle';
      }
    }
    return this.#cancelled ? [] : source.trailers();
  }

  cancel(): void {
    if (this.#cancelled || !this.#source) return;
    this.#cancelled = true;
    const unfinished = this.#status !== 'ended';
    this.#chunk = null;
    this.#failure = null;
    this.#status = 'ended';
    if (unfinished) this.#source.cancel();
    this.#wakes.notify();
  }

  #pull(): void {
    const source = this.#source;
    if (!source) return;
    this.#status = 'pulling';
    // Whoever asks for more has copied what it got.
    const whole = this.#whole;
    this.#whole = null;
    if (whole) source.release?.(whole);
    const chunk = source.read();
    if (!(chunk instanceof Promise)) {
      this.#arrived(chunk);
      return;
    }
    chunk.then(
      (late) => this.#arrived(late),
      (error: unknown) => this.#failed(error),
    );
  }

  #arrived(chunk: Uint8Array | null): void {
    if (this.#cancelled) return;
    if (chunk?.byteLength === 0) {
      this.#pull();
      return;
    }
    this.#chunk = chunk;
    this.#whole = chunk;
    this.#status = chunk ? 'chunk' : 'ended';
    this.#wakes.notify();
  }

  #failed(error: unknown): void {
    if (this.#cancelled) return;
    this.#failure = this.#describe(error);
    this.#status = 'failed';
    this.#wakes.notify();
  }
}

/** A body that broke off, with what a guest is to be told. */
export class BodyFailed extends Error {
  readonly failure: StreamFailure;

  constructor(failure: StreamFailure) {
    super(failure.message);
    this.failure = failure;
  }
}
