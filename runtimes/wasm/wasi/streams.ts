/** `wasi:io/streams`. */
import { CLOSED, IoError, type StreamError, type StreamFailure } from './io-error.ts';
import { BLOCKING_WRITE_BYTES_CAP } from './limits.ts';
import { Pollable } from './poll.ts';
import { ALWAYS_READY, type Readiness } from './readiness.ts';
import { Resource } from './resource.ts';
import { err, ok, type Result } from './result.ts';
import type { GuestState } from './state.ts';

type StreamResult<Value> = Result<Value, StreamError>;
/** What a blocking function gives: at once where it need not wait. */
type MaybeLater<Value> = Value | Promise<Value>;

/** Where an input stream's bytes come from. Ready when there are some, or it failed or ended. */
export interface InputSource extends Readiness {
  /** Nothing more will come, and whatever came was taken. */
  readonly ended: boolean;
  /** Why it failed, once; null where there is nothing new to tell. */
  takeFailure(): StreamFailure | null;
  /** At most `maxBytes` of what is there, the caller's own; empty where nothing is there yet. */
  take(maxBytes: number): Uint8Array;
  /** The stream was dropped. */
  dropped?(): void;
}

/** Where an output stream's bytes go. Ready when it has room or is closed. */
export interface OutputSink extends Readiness {
  /** Bytes that it takes now; null once it is closed. */
  room(): number | null;
  /** Why it closed, once; null where there is nothing new to tell. */
  takeFailure(): StreamFailure | null;
  /** Takes the chunk, or a copy of what it keeps: it may be a view of guest memory. */
  write(chunk: Uint8Array): void;
  /** The stream was dropped. */
  dropped?(): void;
}

function failed(state: GuestState, failure: StreamFailure): { tag: 'err'; val: StreamError } {
  return err({ tag: 'last-operation-failed', val: new IoError(state, failure) });
}

function asNumber(length: bigint): number {
  return length > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(length);
}

export class InputStream extends Resource {
  readonly #reader: InputSource;

  constructor(state: GuestState, reader: InputSource, parent?: Resource) {
    super(state, 'input-stream', parent);
    this.#reader = reader;
  }

  get reader(): InputSource {
    return this.#reader;
  }

  read(length: bigint): StreamResult<Uint8Array> {
    this.state.check();
    return this.take(asNumber(length));
  }

  blockingRead(length: bigint): MaybeLater<StreamResult<Uint8Array>> {
    if (length === 0n) return this.read(0n);
    const wait = this.state.until(this.#reader);
    return wait ? wait.then(() => this.take(asNumber(length))) : this.take(asNumber(length));
  }

  skip(length: bigint): StreamResult<bigint> {
    const read = this.read(length);
    return read.tag === 'ok' ? ok(BigInt(read.val.byteLength)) : read;
  }

  blockingSkip(length: bigint): MaybeLater<StreamResult<bigint>> {
    if (length === 0n) return this.skip(0n);
    const wait = this.state.until(this.#reader);
    return wait ? wait.then(() => this.skip(length)) : this.skip(length);
  }

  subscribe(): Pollable {
    this.state.check();
    return new Pollable(this.state, this.#reader, this);
  }

  /** What is there, up to `maxBytes`, for the host's own use. */
  take(maxBytes: number): StreamResult<Uint8Array> {
    const failure = this.#reader.takeFailure();
    if (failure) return failed(this.state, failure);
    const bytes = this.#reader.take(maxBytes);
    // Asked after the take, which may be what finds the end.
    return bytes.byteLength === 0 && this.#reader.ended ? err(CLOSED) : ok(bytes);
  }

  protected override dropped(): void {
    this.#reader.dropped?.();
  }
}

export class OutputStream extends Resource {
  readonly #sink: OutputSink;
  /** What the last `check-write` permitted and no write has used. */
  #permitBytes = 0;

  constructor(state: GuestState, sink: OutputSink, parent?: Resource) {
    super(state, 'output-stream', parent);
    this.#sink = sink;
  }

  checkWrite(): StreamResult<bigint> {
    this.state.check();
    const failure = this.#failure();
    if (failure) return failure;
    const room = this.#sink.room();
    if (room === null) return err(CLOSED);
    this.#permitBytes = room;
    return ok(BigInt(room));
  }

  write(contents: Uint8Array): StreamResult<undefined> {
    this.state.check();
    this.#usePermit(contents.byteLength);
    return this.#put(contents);
  }

  writeZeroes(length: bigint): StreamResult<undefined> {
    this.state.check();
    const bytes = asNumber(length);
    this.#usePermit(bytes);
    return this.#put(new Uint8Array(bytes));
  }

  blockingWriteAndFlush(contents: Uint8Array): MaybeLater<StreamResult<undefined>> {
    if (contents.byteLength > BLOCKING_WRITE_BYTES_CAP) this.#tooMuch(contents.byteLength);
    return this.#blockingPut(contents);
  }

  blockingWriteZeroesAndFlush(length: bigint): MaybeLater<StreamResult<undefined>> {
    const bytes = asNumber(length);
    if (bytes > BLOCKING_WRITE_BYTES_CAP) this.#tooMuch(bytes);
    return this.#blockingPut(new Uint8Array(bytes));
  }

  /** Bytes are on their way as soon as they are written, so there is never anything to flush. */
  flush(): StreamResult<undefined> {
    this.state.check();
    const failure = this.#failure();
    if (failure) return failure;
    return this.#sink.room() === null ? err(CLOSED) : ok();
  }

  blockingFlush(): MaybeLater<StreamResult<undefined>> {
    const wait = this.state.until(this.#sink);
    return wait ? wait.then(() => this.flush()) : this.flush();
  }

  splice(source: InputStream, length: bigint): StreamResult<bigint> {
    const permit = this.checkWrite();
    if (permit.tag === 'err') return permit;
    const bytes = Math.min(asNumber(length), Number(permit.val));
    if (bytes === 0) return ok(0n);
    const read = source.take(bytes);
    if (read.tag === 'err') return read;
    const written = this.#put(read.val);
    this.#permitBytes = 0;
    return written.tag === 'err' ? written : ok(BigInt(read.val.byteLength));
  }

  blockingSplice(source: InputStream, length: bigint): MaybeLater<StreamResult<bigint>> {
    const sink = this.#sink;
    const both: Readiness = {
      isReady: () => sink.room() === null || (sink.isReady() && source.reader.isReady()),
      arm: (wake) => (sink.isReady() ? source.reader : sink).arm(wake),
    };
    const wait = this.state.until(length === 0n ? ALWAYS_READY : both);
    return wait ? wait.then(() => this.splice(source, length)) : this.splice(source, length);
  }

  subscribe(): Pollable {
    this.state.check();
    return new Pollable(this.state, this.#sink, this);
  }

  protected override dropped(): void {
    this.#sink.dropped?.();
  }

  #blockingPut(contents: Uint8Array): MaybeLater<StreamResult<undefined>> {
    const wait = this.state.until(this.#sink);
    if (!wait) return this.#putAll(contents);
    // By then the guest's memory may be another.
    const kept = new Uint8Array(contents);
    return wait.then(() => this.#putAll(kept));
  }

  /** As much as there is room for, and the rest when there is more. */
  #putAll(contents: Uint8Array): MaybeLater<StreamResult<undefined>> {
    const room = this.#sink.room();
    if (room === null || contents.byteLength <= room) return this.#put(contents);
    const put = this.#put(contents.subarray(0, room));
    return put.tag === 'err' ? put : this.#blockingPut(contents.subarray(room));
  }

  #put(contents: Uint8Array): StreamResult<undefined> {
    const before = this.#failure();
    if (before) return before;
    if (this.#sink.room() === null) return err(CLOSED);
    this.#sink.write(contents);
    return this.#failure() ?? ok();
  }

  #failure(): { tag: 'err'; val: StreamError } | null {
    const failure = this.#sink.takeFailure();
    return failure ? failed(this.state, failure) : null;
  }

  #usePermit(bytes: number): void {
    if (bytes > this.#permitBytes) {
      this.state.trap(
        `the function wrote ${bytes} bytes to a stream; check-write had permitted ${this.#permitBytes}`,
      );
    }
    this.#permitBytes -= bytes;
  }

  #tooMuch(bytes: number): never {
    return this.state.trap(
      `the function gave a blocking write ${bytes} bytes; wasi:io/streams allows ${BLOCKING_WRITE_BYTES_CAP}`,
    );
  }
}
