import type { HeaderList } from '../../../src/executors/executor.ts';
import type { ErrorCode } from './http/error-codes.ts';
import type { StreamFailure } from './io-error.ts';
import { weightOfText } from './http/fields.ts';
import { CHUNK_WEIGHT, OUTPUT_BUFFER_BYTES } from './limits.ts';
import { NOTHING_TO_DISARM, WakeList, type Disarm } from './readiness.ts';
import { err, ok, type Result } from './result.ts';
import type { GuestState } from './state.ts';
import type { OutputSink } from './streams.ts';

/** Where a body goes once its message has been sent. */
export interface BodyTarget {
  /**
   * Takes a copy of the chunk, which may be a view of guest memory. Resolves when more may be written, undefined where
   * that is now; called again only then.
   */
  write(chunk: Uint8Array): Promise<void> | undefined;
  /** The body is complete; nothing follows. */
  end(trailers: HeaderList): void;
  /** The body is broken; nothing follows. */
  abort(failure: StreamFailure): void;
}

export interface BodyWriterOptions {
  /** The message's own Content-Length, or null. */
  readonly contentLength: number | null;
  /** A message that may carry a Content-Length without a body: the answer to HEAD, a 304. */
  readonly mayBeShort: boolean;
  readonly sizeError: 'HTTP-request-body-size' | 'HTTP-response-body-size';
  /** Why trailers cannot be sent, where they cannot. */
  readonly refuseTrailers?: string;
}

/** `closed`: whoever took the body wants no more of it, which is no failure. */
export type BodyStatus = 'open' | 'finished' | 'broken' | 'closed';

/** Chunks that wait are sent together up to this size. */
const SEND_BYTES = 64 * 1024;
/** Chunks under half of this wait in one buffer of this size: alone, each would take some 300 bytes more than it has. */
const BLOCK_BYTES = 4096;

/**
 * The writing end of a body. Takes a bounded number of bytes before the message is sent and while its target
 * is slow; holds the body to its Content-Length.
 */
export class BodyWriter implements OutputSink {
  readonly #state: GuestState;
  readonly #options: BodyWriterOptions;
  readonly #wakes = new WakeList();
  readonly #queue: Uint8Array[] = [];
  /** What each chunk of the queue was counted with. */
  readonly #weights: number[] = [];
  /** The last of the queue where small chunks come together in it, and how much of it is used. */
  #block: Uint8Array | null = null;
  #blockUsed = 0;
  /** What the queue and the trailers weigh. */
  #heldBytes = 0;
  #target: BodyTarget | null = null;
  #sending = false;
  #bufferedBytes = 0;
  #writtenBytes = 0;
  #status: BodyStatus = 'open';
  #trailers: HeaderList = [];
  #failure: StreamFailure | null = null;
  #failureTold = false;

  constructor(state: GuestState, options: BodyWriterOptions) {
    this.#state = state;
    this.#options = options;
  }

  get status(): BodyStatus {
    return this.#status;
  }

  /** The message is sent: what was written goes to `target`, and what will be. */
  attach(target: BodyTarget): void {
    this.#target = target;
    if (this.#failure) target.abort(this.#failure);
    else this.#send();
  }

  room(): number | null {
    if (this.#status !== 'open') return null;
    return Math.max(0, OUTPUT_BUFFER_BYTES - this.#bufferedBytes);
  }

  takeFailure(): StreamFailure | null {
    if (this.#failureTold) return null;
    this.#failureTold = this.#failure !== null;
    return this.#failure;
  }

  isReady(): boolean {
    return this.room() !== 0;
  }

  arm(wake: () => void): Disarm {
    if (this.isReady()) {
      wake();
      return NOTHING_TO_DISARM;
    }
    return this.#wakes.arm(wake);
  }

  write(chunk: Uint8Array): void {
    if (this.#status !== 'open' || chunk.byteLength === 0) return;
    this.#writtenBytes += chunk.byteLength;
    const { contentLength } = this.#options;
    if (contentLength !== null && this.#writtenBytes > contentLength) {
      this.break({
        message: `the body is longer than its Content-Length, ${contentLength} bytes`,
        httpErrorCode: this.#sizeError(),
      });
      return;
    }
    this.#state.holdBufferedBytes(chunk.byteLength);
    this.#bufferedBytes += chunk.byteLength;
    this.#enqueue(chunk);
    this.#send();
  }

  /** Ends the body. Fails where it broke before, or is shorter than its Content-Length. */
  finish(trailers: HeaderList): Result<undefined, ErrorCode> {
    const { contentLength, mayBeShort } = this.#options;
    if (
      this.#status === 'open' &&
      contentLength !== null &&
      this.#writtenBytes < contentLength &&
      !mayBeShort
    ) {
      this.break({
        message: `the body ended after ${this.#writtenBytes} bytes; its Content-Length is ${contentLength}`,
        httpErrorCode: this.#sizeError(),
      });
    }
    if (this.#status === 'open' && trailers.length > 0 && this.#options.refuseTrailers) {
      const message = this.#options.refuseTrailers;
      this.break({ message, httpErrorCode: { tag: 'internal-error', val: message } });
    }
    if (this.#failure) {
      return err(this.#failure.httpErrorCode ?? { tag: 'internal-error', val: this.#failure.message });
    }
    if (this.#status === 'closed') return ok();
    this.#status = 'finished';
    this.#hold(weightOfText(trailers));
    this.#trailers = trailers;
    this.#send();
    return ok();
  }

  /** Breaks the body off, from either side. Nothing if it had ended. */
  break(failure: StreamFailure): void {
    if (this.#isOver()) {
      this.#hold(-this.#heldBytes);
      return;
    }
    this.#failure = failure;
    this.#stop('broken');
    this.#target?.abort(failure);
  }

  /** Whoever took the body wants no more of it. */
  close(): void {
    if (this.#isOver()) this.#hold(-this.#heldBytes);
    else this.#stop('closed');
  }

  #isOver(): boolean {
    if (this.#status === 'finished') return !this.#sending && this.#queue.length === 0;
    return this.#isStopped();
  }

  // A call, so that the compiler does not take the status before an await for the one after it.
  #isStopped(): boolean {
    return this.#status === 'broken' || this.#status === 'closed';
  }

  #stop(status: 'broken' | 'closed'): void {
    this.#status = status;
    this.#queue.length = 0;
    this.#weights.length = 0;
    this.#block = null;
    this.#hold(-this.#heldBytes);
    this.#release(this.#bufferedBytes);
    this.#wakes.notify();
  }

  #sizeError(): ErrorCode {
    return { tag: this.#options.sizeError, val: BigInt(this.#writtenBytes) };
  }

  #release(bytes: number): void {
    this.#bufferedBytes -= bytes;
    this.#state.holdBufferedBytes(-bytes);
  }

  #send(): void {
    const target = this.#target;
    if (!target || this.#sending || this.#isStopped()) return;
    this.#sending = true;
    try {
      for (let chunk = this.#next(); chunk; chunk = this.#next()) {
        const wait = target.write(chunk);
        if (wait) {
          this.#sendLater(chunk.byteLength, wait);
          return;
        }
        // Given back in `#stop` otherwise.
        if (this.#isStopped()) return;
        this.#taken(chunk.byteLength);
      }
    } catch (error) {
      this.#failed(error);
      return;
    }
    // In the same step as the last look at the queue: what is written from now on starts a new round.
    this.#sending = false;
    if (this.#status !== 'finished') return;
    this.#hold(-this.#heldBytes);
    target.end(this.#trailers);
  }

  #sendLater(bytes: number, wait: Promise<void>): void {
    wait.then(
      () => {
        if (this.#isStopped()) return;
        this.#taken(bytes);
        this.#sending = false;
        this.#send();
      },
      (error: unknown) => this.#failed(error),
    );
  }

  #taken(bytes: number): void {
    this.#release(bytes);
    this.#wakes.notify();
  }

  #failed(error: unknown): void {
    this.#sending = false;
    const message = error instanceof Error ? error.message : String(error);
    this.break({ message, httpErrorCode: { tag: 'connection-terminated' } });
  }

  #hold(bytes: number): void {
    this.#state.hold(bytes);
    this.#heldBytes += bytes;
  }

  #enqueue(chunk: Uint8Array): void {
    const bytes = chunk.byteLength;
    // Most go on at once.
    if (this.#target && !this.#sending) {
      this.#push(chunk, 0);
      return;
    }
    if (this.#block && bytes <= BLOCK_BYTES - this.#blockUsed) {
      this.#block.set(chunk, this.#blockUsed);
      this.#blockUsed += bytes;
      return;
    }
    this.#closeBlock();
    if (bytes >= BLOCK_BYTES / 2) {
      // Not `slice`: a Buffer’s is a view.
      this.#push(new Uint8Array(chunk), bytes + CHUNK_WEIGHT);
      return;
    }
    const block = new Uint8Array(BLOCK_BYTES);
    block.set(chunk);
    this.#push(block, BLOCK_BYTES + CHUNK_WEIGHT);
    this.#block = block;
    this.#blockUsed = bytes;
  }

  #push(chunk: Uint8Array, weight: number): void {
    if (weight > 0) this.#hold(weight);
    this.#weights.push(weight);
    this.#queue.push(chunk);
  }

  /** Nothing more comes into the last block. */
  #closeBlock(): void {
    if (!this.#block) return;
    this.#queue[this.#queue.length - 1] = this.#block.subarray(0, this.#blockUsed);
    this.#block = null;
  }

  #take(): Uint8Array | undefined {
    const weight = this.#weights.shift() ?? 0;
    if (weight > 0) this.#hold(-weight);
    return this.#queue.shift();
  }

  #next(): Uint8Array | undefined {
    this.#closeBlock();
    const first = this.#take();
    if (!first || this.#queue.length === 0 || first.byteLength >= SEND_BYTES) return first;
    const together = [first];
    let bytes = first.byteLength;
    for (let next = this.#queue[0]; next && bytes + next.byteLength <= SEND_BYTES; next = this.#queue[0]) {
      together.push(next);
      bytes += next.byteLength;
      this.#take();
    }
    return together.length === 1 ? first : Buffer.concat(together, bytes);
  }
}
