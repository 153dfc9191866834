/** One call in its executor thread: the guest's request body, its answer and its log lines over the port. */
import type { HeaderList, InvokeReceipt } from '../../src/executors/executor.ts';
import { CallAbort } from '../../src/executors/call-abort.ts';
import { FissiumError, fromErrorData, type ErrorData } from '../../src/errors.ts';
import type {
  EngineReceipt,
  GuestBodySource,
  GuestRequest,
  GuestResponseSink,
  GuestSignal,
  InvocationContext,
  Turn,
} from './engine.ts';
import { LineSplitter } from './line-splitter.ts';
import { BODY_WINDOW_BYTES, type FromExecutor, type RequestHead } from './protocol.ts';

type Post = (message: FromExecutor, transfer?: ArrayBuffer[]) => void;

/** The request body: chunks arrive by credit and wait here until the guest reads them. */
class IncomingBodyBuffer implements GuestBodySource {
  readonly #call: number;
  readonly #post: Post;
  readonly #chunks: Uint8Array[] = [];
  #trailers: HeaderList = [];
  #ended = false;
  #error: FissiumError | null = null;
  #wake: (() => void) | null = null;
  #cancelled = false;
  #started = false;

  constructor(call: number, post: Post) {
    this.#call = call;
    this.#post = post;
  }

  async read(): Promise<Uint8Array | null> {
    // Nothing is asked for before the first read: a guest that ignores the body costs its sender nothing.
    if (!this.#started) {
      this.#started = true;
      this.#post({ type: 'want', call: this.#call, bytes: BODY_WINDOW_BYTES });
    }
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        if (!this.#ended) this.#post({ type: 'want', call: this.#call, bytes: chunk.byteLength });
        return chunk;
      }
      if (this.#error) throw this.#error;
      if (this.#ended || this.#cancelled) return null;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async trailers(): Promise<HeaderList> {
    return Promise.resolve(this.#trailers);
  }

  cancel(): void {
    if (this.#cancelled || this.#ended) return;
    this.#cancelled = true;
    this.#chunks.length = 0;
    this.#post({ type: 'body-cancelled', call: this.#call });
    this.#notify();
  }

  push(chunk: Uint8Array): void {
    if (this.#cancelled) return;
    this.#chunks.push(chunk);
    this.#notify();
  }

  end(trailers: HeaderList): void {
    this.#trailers = trailers;
    this.#ended = true;
    this.#notify();
  }

  fail(error: FissiumError): void {
    this.#error = error;
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

/** The answer: at most one window of bytes is under way to the client. */
class OutgoingBodyWindow implements GuestResponseSink {
  readonly #call: number;
  readonly #post: Post;
  /** Whether an instance had to be made for this call. */
  coldStart = false;
  #underWay = 0;
  #wake: (() => void) | null = null;
  #closed = false;

  constructor(call: number, post: Post) {
    this.#call = call;
    this.#post = post;
  }

  head(status: number, headers: HeaderList): void {
    if (!this.#closed)
      this.#post({ type: 'head', call: this.#call, status, headers, coldStart: this.coldStart });
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#closed || chunk.byteLength === 0) return undefined;
    const bytes = chunk.byteLength;
    // The chunk may be a view of guest memory, or a Buffer in Node's pool, whose own `slice` copies nothing:
    // only a copy with a buffer of its own can leave the thread.
    const copy = new Uint8Array(chunk);
    this.#post({ type: 'chunk', call: this.#call, chunk: copy }, [copy.buffer]);
    this.#underWay += bytes;
    return this.#underWay > BODY_WINDOW_BYTES ? this.#room() : undefined;
  }

  async #room(): Promise<void> {
    while (this.#underWay > BODY_WINDOW_BYTES && !this.#closed) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  end(trailers: HeaderList): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#post({ type: 'end', call: this.#call, trailers });
  }

  taken(bytes: number): void {
    this.#underWay -= bytes;
    this.#notify();
  }

  /** Nobody reads any more: writes go nowhere and wait for nothing. */
  close(): void {
    this.#closed = true;
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

export class GuestCall {
  readonly usedUs = 0;
  readonly #call: number;
  readonly #post: Post;
  readonly #body: IncomingBodyBuffer | null;
  readonly #response: OutgoingBodyWindow;
  readonly #abort = new CallAbort();
  readonly #splitters: Record<'stdout' | 'stderr', LineSplitter>;
  readonly #request: GuestRequest;

  constructor(call: number, head: RequestHead, hasBody: boolean, post: Post) {
    this.#call = call;
    this.#post = post;
    this.#body = hasBody ? new IncomingBodyBuffer(call, post) : null;
    this.#response = new OutgoingBodyWindow(call, post);
    this.#request = { ...head, body: this.#body };
    this.#splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };
  }

  context(turn: Turn, receipt: EngineReceipt | null): InvocationContext {
    return {
      request: this.#request,
      response: this.#response,
      signal: this.#abort,
      turn,
      receipt,
      onColdStart: () => (this.#response.coldStart = true),
      log: (stream, chunk) => this.#log(stream, this.#splitters[stream].push(chunk)),
    };
  }

  /** Both ends of the call, for whoever answers it in a guest's place. */
  ends(): { source: GuestBodySource | null; sink: GuestResponseSink; signal: GuestSignal } {
    return { source: this.#body, sink: this.#response, signal: this.#abort };
  }

  /** Whether whoever answers in a guest's place made an instance for this call. */
  answers(coldStart: boolean): void {
    this.#response.coldStart = coldStart;
  }

  bodyChunk(chunk: Uint8Array): void {
    this.#body?.push(chunk);
  }

  bodyEnd(trailers: HeaderList): void {
    this.#body?.end(trailers);
  }

  bodyFailed(error: ErrorData): void {
    this.#body?.fail(fromErrorData(error));
  }

  taken(bytes: number): void {
    this.#response.taken(bytes);
  }

  get aborted(): boolean {
    return this.#abort.aborted;
  }

  abort(): void {
    this.#abort.abort(new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more'));
    this.#response.close();
  }

  /** The guest is gone: the last words of its log, and whether it failed. */
  finish(error: ErrorData | null, receipt: InvokeReceipt | null): void {
    for (const stream of ['stdout', 'stderr'] as const) this.#log(stream, this.#splitters[stream].flush());
    this.#body?.cancel();
    this.#post({ type: 'done', call: this.#call, error, receipt });
  }

  #log(stream: 'stdout' | 'stderr', lines: string[]): void {
    if (lines.length > 0) this.#post({ type: 'log', call: this.#call, stream, lines });
  }
}
