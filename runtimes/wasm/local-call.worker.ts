/** One call that is made in the thread that runs its guest: nothing of it crosses to another thread. */
import { Readable } from 'node:stream';
import { CallAbort } from '../../src/executors/call-abort.ts';
import { FissiumError, fromErrorData, type ErrorData } from '../../src/errors.ts';
import type { AnswerReceiver, HeaderList, InvokeRequest } from '../../src/executors/executor.ts';
import type {
  EngineReceipt,
  GuestBodySource,
  GuestRequest,
  GuestResponseSink,
  InvocationContext,
  Turn,
} from './engine.ts';
import { LineSplitter } from './line-splitter.ts';
import { nextChunk } from './next-chunk.ts';
import { chunkPool } from './chunk-pool.ts';
import { StreamedBody } from './streamed-body.ts';

/** An answer that is not whole by now is streamed. */
const WHOLE_BYTES = 64 * 1024;

const NO_TRAILERS: HeaderList = [];

type Log = (stream: 'stdout' | 'stderr', lines: readonly string[]) => void;

interface RequestSource extends GuestBodySource {
  /** Whether more may come. */
  readonly open: boolean;
  /** Lets the sender know that its bytes are wanted. */
  prompt(): void;
}

/** A body that came as a whole: nobody waits for any of it. */
class BytesSource implements RequestSource {
  readonly open = false;
  #bytes: Uint8Array | null;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(): Uint8Array | null {
    const bytes = this.#bytes;
    this.#bytes = null;
    return bytes;
  }

  async trailers(): Promise<HeaderList> {
    return Promise.resolve(NO_TRAILERS);
  }

  cancel(): void {
    this.#bytes = null;
  }

  prompt(): void {
    // Its sender has sent all of it.
  }
}

/** A stream's chunks, as a guest reads them. */
class StreamSource implements RequestSource {
  readonly #stream: Readable;
  readonly #request: InvokeRequest;
  cancelled = false;

  constructor(stream: Readable, request: InvokeRequest) {
    this.#stream = stream;
    this.#request = request;
    // A sender that fails is noticed where the body is read; between two reads it must not end the process.
    stream.on('error', () => undefined);
  }

  async read(): Promise<Uint8Array | null> {
    return this.cancelled ? null : nextChunk(this.#stream);
  }

  release(chunk: Uint8Array): void {
    this.#request.release?.(chunk);
  }

  async trailers(): Promise<HeaderList> {
    return (await this.#request.trailers) ?? NO_TRAILERS;
  }

  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    if (!this.#stream.readableEnded) this.#stream.resume();
  }

  get open(): boolean {
    return !this.cancelled && !this.#stream.readableEnded;
  }

  prompt(): void {
    this.#stream.read(0);
  }
}

function sourceOf(request: InvokeRequest): RequestSource | null {
  const { body } = request;
  if (body === null) return null;
  return body instanceof Readable ? new StreamSource(body, request) : new BytesSource(body);
}

/** The caller's request with its body as guests read it. */
class LocalRequest implements GuestRequest {
  readonly id: string;
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly pathWithQuery: string;
  readonly body: GuestBodySource | null;
  readonly #request: InvokeRequest;

  constructor(request: InvokeRequest, body: GuestBodySource | null) {
    this.id = request.id;
    this.method = request.method;
    this.scheme = request.scheme;
    this.authority = request.authority;
    this.pathWithQuery = request.pathWithQuery;
    this.body = body;
    this.#request = request;
  }

  /** Worked out when somebody asks. */
  get headers(): HeaderList {
    return this.#request.headers;
  }
}

const giveBack = (chunk: Uint8Array): void => chunkPool.give(chunk);

/** Calls with a head whose answer may not be whole by the end of this turn of the event loop. */
let begun: LocalCall[] = [];

function beginLater(call: LocalCall): void {
  if (begun.length === 0) setImmediate(beginAll);
  begun.push(call);
}

/** Most answers are whole within the turn in which they began: then nothing has to be streamed. */
function beginAll(): void {
  const calls = begun;
  begun = [];
  for (const call of calls) call.begin();
}

export class LocalCall implements GuestResponseSink {
  /** Why the caller gets nothing (more); null while it waits. */
  ending: unknown = null;
  /** CPU time of a run that was given up, µs. */
  usedUs = 0;
  readonly #request: InvokeRequest;
  readonly #log: Log;
  readonly #signal = new CallAbort();
  #body: RequestSource | null;
  readonly #receiver: AnswerReceiver;
  /** Made at the first line. */
  #splitters: Record<'stdout' | 'stderr', LineSplitter> | null = null;
  #status = 0;
  #headers: HeaderList = NO_TRAILERS;
  /** Chunks of an answer that may still be whole at once. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  #stream: StreamedBody | null = null;
  #trailers: (trailers: HeaderList) => void = () => {};
  #ended = false;
  #coldStart = false;
  #finished = false;
  /** What the guest logged in a run that may yet be given up; null in any other. */
  #heldLines: [stream: 'stdout' | 'stderr', lines: readonly string[]][] | null = null;
  #heldTrailers: HeaderList = NO_TRAILERS;

  /** @param receiver told of the answer while the guest's code is on the stack, or just was, where that answers at once */
  constructor(request: InvokeRequest, receiver: AnswerReceiver, log: Log) {
    this.#request = request;
    this.#receiver = receiver;
    this.#log = log;
    this.#body = sourceOf(request);
    request.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  context(turn: Turn, receipt: EngineReceipt | null): InvocationContext {
    return {
      request: new LocalRequest(this.#request, this.#body),
      response: this,
      signal: this.#signal,
      turn,
      log: this.#write,
      receipt,
      onColdStart: this.#onColdStart,
    };
  }

  /** Whether it can be run a second time. */
  get repeatable(): boolean {
    return !(this.#request.body instanceof Readable);
  }

  /** For a run that is finished before it returns, or given up: then call {@link giveUp}. */
  attempt(turn: Turn, receipt: EngineReceipt | null): InvocationContext {
    this.#heldLines = [];
    return { ...this.context(turn, receipt), commit: this.#commit };
  }

  /** Whether what an {@link attempt} came to has been seen. */
  get committed(): boolean {
    return this.#heldLines === null;
  }

  /** Nothing has been: the call is as it came, but for the CPU time. */
  giveUp(usedUs: number): void {
    this.usedUs = usedUs;
    this.#heldLines = null;
    this.#heldTrailers = NO_TRAILERS;
    for (const chunk of this.#chunks) chunkPool.give(chunk);
    this.#chunks = [];
    this.#bytes = 0;
    this.#status = 0;
    this.#headers = NO_TRAILERS;
    this.#splitters = null;
    this.#ended = false;
    this.#coldStart = false;
    this.#body = sourceOf(this.#request);
  }

  readonly #commit = (): void => {
    const lines = this.#heldLines ?? [];
    this.#heldLines = null;
    for (const [stream, some] of lines) this.#line(stream, some);
    this.#answer(this.#heldTrailers);
  };

  head(status: number, headers: HeaderList): void {
    if (this.ending !== null) return;
    this.#status = status;
    this.#headers = headers;
    if (this.#heldLines) return;
    // A guest may read on after its head. A client that waits for `100 Continue` has to be told before that head
    // is sent, or both sides wait; with a refusal it is not told, and keeps its body.
    if (status < 300 && this.#body?.open === true) this.#body.prompt();
    beginLater(this);
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.ending !== null || this.#ended || chunk.byteLength === 0) return undefined;
    if (this.#stream) return this.#stream.add(chunk);
    this.#chunks.push(chunkPool.copy(chunk));
    this.#bytes += chunk.byteLength;
    if (this.#bytes <= WHOLE_BYTES) return undefined;
    // A guest that writes more than may be held back has to wait, and so is run again.
    if (this.#heldLines) return new Promise(() => undefined);
    this.begin();
    return undefined;
  }

  end(trailers: HeaderList): void {
    if (this.ending !== null || this.#ended) return;
    this.#ended = true;
    if (this.#stream) {
      this.#trailers(trailers);
      this.#stream.finish();
      return;
    }
    if (this.#heldLines) this.#heldTrailers = trailers;
    else this.#answer(trailers);
  }

  #answer(trailers: HeaderList): void {
    this.#receiver.answered({
      status: this.#status,
      headers: this.#headers,
      body: this.#together(),
      trailers,
      release: giveBack,
      coldStart: this.#coldStart,
    });
  }

  #together(): Buffer {
    const [first] = this.#chunks;
    if (this.#chunks.length === 1 && first) return first;
    const body = Buffer.concat(this.#chunks);
    for (const chunk of this.#chunks) chunkPool.give(chunk);
    return body;
  }

  get aborted(): boolean {
    return this.ending !== null;
  }

  /** Nobody waits for the answer any more. */
  abort(reason: unknown): void {
    if (this.#finished || this.ending !== null) return;
    this.ending = reason;
    this.#signal.abort(reason);
    this.#settle(reason);
  }

  /** The guest is gone: it returned (null) or failed. */
  finish(error: ErrorData | null): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#request.signal.removeEventListener('abort', this.#onAbort);
    if (this.#splitters)
      for (const stream of ['stdout', 'stderr'] as const) this.#line(stream, this.#splitters[stream].flush());
    this.#body?.cancel();
    if (this.#ended) return;
    this.#settle(this.ending ?? (error ? fromErrorData(error) : this.#unfinished()));
    this.#trailers(NO_TRAILERS);
  }

  readonly #onColdStart = (): void => {
    this.#coldStart = true;
  };

  readonly #onAbort = (): void => this.abort(this.#request.signal.reason);

  #unfinished(): FissiumError {
    return new FissiumError(
      'GUEST_NO_RESPONSE',
      this.#status > 0
        ? 'the function returned before it had finished its answer'
        : 'the function returned without an answer',
    );
  }

  #settle(failure: unknown): void {
    if (this.#ended) return;
    const stream = this.#stream;
    if (!stream) {
      this.#receiver.failed(failure);
      return;
    }
    const error = failure instanceof Error ? failure : new FissiumError('INTERNAL', String(failure));
    // Head and failure may come together: whoever awaits the head takes hold of the body first.
    setImmediate(() => stream.destroy(error));
  }

  /** The answer is not whole, or not yet: what there is of it is handed over, and the rest as it comes. */
  begin(): void {
    if (this.#stream || this.#ended || this.ending !== null || this.#finished) return;
    const stream = new StreamedBody(() => {
      // The reader went away before the end: the guest has nobody to write to.
      if (!this.#ended) this.abort(new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more'));
    });
    this.#stream = stream;
    const { promise, resolve } = Promise.withResolvers<HeaderList>();
    this.#trailers = resolve;
    for (const chunk of this.#chunks) stream.push(chunk);
    this.#chunks = [];
    this.#receiver.answered({
      status: this.#status,
      headers: this.#headers,
      body: stream,
      trailers: promise,
      release: giveBack,
      coldStart: this.#coldStart,
    });
  }

  readonly #write = (stream: 'stdout' | 'stderr', chunk: Uint8Array): void => {
    this.#splitters ??= { stdout: new LineSplitter(), stderr: new LineSplitter() };
    this.#line(stream, this.#splitters[stream].push(chunk));
  };

  #line(stream: 'stdout' | 'stderr', lines: readonly string[]): void {
    if (lines.length === 0) return;
    if (this.#heldLines) this.#heldLines.push([stream, lines]);
    else this.#log(stream, lines);
  }
}
