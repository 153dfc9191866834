/** One call on the main thread's side: bodies both ways by credit, and the promise of the answer's head. */
import { Readable } from 'node:stream';
import { FissiumError, fromErrorData, toErrorData, type ErrorData } from '../../src/errors.ts';
import { bodyStream } from '../../src/executors/body-stream.ts';
import type { HeaderList, InvokeRequest, StreamedResponse } from '../../src/executors/executor.ts';
import { nextChunk } from './next-chunk.ts';
import { TAKEN_STEP_BYTES, type FromExecutor, type ToExecutor } from './protocol.ts';

/** The answer's body: hands chunks on and tells the thread what the client took. */
class AnswerBody extends Readable {
  readonly #taken: (bytes: number) => void;
  readonly #gone: () => void;
  /** In the stream's buffer. */
  #owed = 0;
  /** Taken, and not told yet. */
  #untold = 0;

  constructor(taken: (bytes: number) => void, gone: () => void) {
    super({ highWaterMark: 64 * 1024 });
    this.#taken = taken;
    this.#gone = gone;
    // Whoever reads the body hears of its failure; where nobody does, it must not end the process.
    this.on('error', () => undefined);
  }

  add(chunk: Uint8Array): void {
    if (this.push(chunk)) this.#tell(chunk.byteLength);
    else this.#owed += chunk.byteLength;
  }

  #tell(bytes: number): void {
    this.#untold += bytes;
    if (this.#untold < TAKEN_STEP_BYTES) return;
    this.#taken(this.#untold);
    this.#untold = 0;
  }

  override _read(): void {
    if (this.#owed === 0) return;
    const bytes = this.#owed;
    this.#owed = 0;
    this.#tell(bytes);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#gone();
    callback(error);
  }
}

/** What a call needs of its thread. */
export interface CallThread {
  send(message: ToExecutor, transfer?: ArrayBuffer[]): void;
}

export type CallMessage = Extract<FromExecutor, { call: number }>;

export class Call {
  readonly number: number;
  readonly response: Promise<StreamedResponse>;
  /** Why nobody waits for this call any more; null while somebody does. */
  ending: FissiumError | null = null;
  /** Names the guest in the thread's control block; 0 until it is entered. */
  life = 0;
  readonly #thread: CallThread;
  readonly #request: InvokeRequest;
  readonly #requestBody: Readable | null;
  readonly #onLog: (stream: 'stdout' | 'stderr', lines: readonly string[]) => void;
  readonly #onDone: (call: Call) => void;
  readonly #resolve: (response: StreamedResponse) => void;
  readonly #reject: (error: unknown) => void;
  readonly #body: AnswerBody;
  #trailers: (trailers: HeaderList) => void = () => {};
  #headSent = false;
  #bodyCancelled = false;
  #ended = false;
  #finished = false;
  #credit = 0;
  /** A body is being sent, or was sent to its end: then it stays true. */
  #sending = false;
  readonly #onAbort = (): void => this.abort();

  constructor(options: {
    number: number;
    request: InvokeRequest;
    thread: CallThread;
    onLog: (stream: 'stdout' | 'stderr', lines: readonly string[]) => void;
    onDone: (call: Call) => void;
  }) {
    this.number = options.number;
    this.#thread = options.thread;
    this.#request = options.request;
    this.#requestBody = bodyStream(options.request.body);
    this.#onLog = options.onLog;
    this.#onDone = options.onDone;
    const { promise, resolve, reject } = Promise.withResolvers<StreamedResponse>();
    this.response = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#body = new AnswerBody(
      (bytes) => {
        if (!this.#finished) this.#thread.send({ type: 'taken', call: this.number, bytes });
      },
      () => {
        // The reader went away before the end: the guest has nobody to write to.
        if (!this.#ended) this.abort();
      },
    );
    this.#request.signal.addEventListener('abort', this.#onAbort, { once: true });
    // A sender that fails is noticed where the body is read; between two reads it must not end the process.
    this.#requestBody?.on('error', () => undefined);
  }

  /** A message of the thread about this call. */
  receive(message: CallMessage): void {
    switch (message.type) {
      case 'started':
        this.life = message.life;
        return;
      case 'clock':
        if (message.startingMs === null) this.#request.clock?.started();
        else this.#request.clock?.starting(message.startingMs);
        return;
      case 'want':
        this.#credit += message.bytes;
        void this.#sendBody();
        return;
      case 'body-cancelled':
        this.#bodyCancelled = true;
        this.#requestBody?.resume();
        return;
      case 'head':
        this.#head(message.status, message.headers, message.coldStart);
        return;
      case 'chunk':
        if (!this.#body.destroyed) this.#body.add(message.chunk);
        return;
      case 'end':
        this.#ended = true;
        this.#trailers(message.trailers);
        this.#body.push(null);
        return;
      case 'log':
        this.#onLog(message.stream, message.lines);
        return;
      case 'done':
        this.#request.onReceipt?.(message.receipt);
        this.finish(message.error);
        return;
      default:
        message satisfies never;
    }
  }

  /** Nobody waits for the answer any more: the guest is resumed into its end, or killed at its next check. */
  abort(reason?: FissiumError): void {
    if (this.#finished) return;
    this.ending ??= reason ?? new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more');
    this.#thread.send({ type: 'abort', call: this.number });
    // The caller need not wait for the guest's end: its thread may be busy with another one.
    this.#settle(this.ending);
  }

  /** The guest is gone, or its thread is. */
  finish(error: ErrorData | null): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#request.signal.removeEventListener('abort', this.#onAbort);
    const failure = this.#failure(error);
    if (failure) this.#settle(failure);
    this.#trailers([]);
    this.#onDone(this);
  }

  #settle(failure: FissiumError): void {
    if (this.#ended) return;
    // Head and failure may come in one message: whoever awaits the head takes hold of the body first.
    if (this.#headSent) setImmediate(() => this.#body.destroy(failure));
    else this.#reject(failure);
  }

  #failure(error: ErrorData | null): FissiumError | null {
    if (this.ending) return this.ending;
    if (error) return fromErrorData(error);
    if (this.#ended) return null;
    return new FissiumError(
      'GUEST_NO_RESPONSE',
      this.#headSent
        ? 'the function returned before it had finished its answer'
        : 'the function returned without an answer',
    );
  }

  #head(status: number, headers: HeaderList, coldStart: boolean): void {
    if (this.ending) return;
    this.#headSent = true;
    // A guest may read on after its head. A client that waits for `100 Continue` has to be told before that head
    // is sent, or both sides wait; with a refusal it is not told, and keeps its body.
    if (status < 300 && !this.#bodyCancelled) this.#requestBody?.read(0);
    const { promise, resolve } = Promise.withResolvers<HeaderList>();
    this.#trailers = resolve;
    this.#resolve({ status, headers, body: this.#body, trailers: promise, coldStart });
  }

  /** Sends the request's body as far as the guest has asked for it. */
  async #sendBody(): Promise<void> {
    const body = this.#requestBody;
    if (this.#sending || !body) return;
    this.#sending = true;
    try {
      while (this.#credit > 0) {
        const chunk = await nextChunk(body);
        if (this.#finished) return;
        if (chunk === null) {
          const trailers = this.#request.trailers ? await this.#request.trailers : [];
          this.#thread.send({ type: 'body-end', call: this.number, trailers });
          return;
        }
        this.#credit -= chunk.byteLength;
        // Not `slice`: a Buffer's is a view, perhaps of Node's pool, which cannot be transferred.
        const copy = new Uint8Array(chunk);
        this.#request.release?.(chunk);
        this.#thread.send({ type: 'body', call: this.number, chunk: copy }, [copy.buffer]);
      }
      this.#sending = false;
    } catch (error) {
      if (!this.#finished) {
        this.#thread.send({ type: 'body-failed', call: this.number, error: toErrorData(error) });
      }
    }
  }
}
