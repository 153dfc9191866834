/**
 * The server's side of one SPDY/3.1 connection: streams that the client opens, as Duplexes. There is no flow
 * control beside TCP's, as in the clients that use it (client-go): a stream that is not read holds its connection.
 */
import { Duplex, type Readable } from 'node:stream';
import { constants, createInflate, type Inflate } from 'node:zlib';
import { HEADER_DICTIONARY } from './dictionary.ts';
import {
  controlFrame,
  dataFrame,
  FLAG_FIN,
  FrameParser,
  readHeaders,
  STATUS,
  TYPE,
  words,
  type Frame,
} from './frames.ts';

/** A stream that the client opened. */
export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly #session: SpdySession;
  #waiting: (() => void) | undefined;

  constructor(session: SpdySession, id: number, headers: ReadonlyMap<string, string>) {
    super({ allowHalfOpen: true });
    this.#session = session;
    this.id = id;
    this.headers = headers;
  }

  override _read(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#session.send(dataFrame(this.id, chunk, false), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#session.send(dataFrame(this.id, Buffer.alloc(0), true), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#waiting?.();
    this.#session.forget(this, error !== null || !this.writableFinished);
    done(error);
  }

  /** Takes what the client sent; resolves when there is room for more. */
  async receive(payload: Buffer, fin: boolean): Promise<void> {
    if (this.destroyed) return;
    if (payload.length > 0 && !this.push(payload)) {
      await new Promise<void>((resolve) => (this.#waiting = resolve));
    }
    if (fin && !this.destroyed) this.push(null);
  }
}

/**
 * Deflate's stored blocks: a header block without headers needs no compression, only its place in the zlib stream.
 * An empty block stands behind it, as after a flush; without one Go's reader waits for more before it gives out.
 */
const ZLIB_HEAD = Buffer.from([0x78, 0x01]);
const NO_HEADERS = Buffer.from([0x00, 0x04, 0x00, 0xfb, 0xff, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0xff, 0xff]);

const MAX_STREAMS = 1000;

export class SpdySession {
  readonly #socket: Duplex;
  readonly #inflate: Inflate = createInflate({
    dictionary: HEADER_DICTIONARY,
    finishFlush: constants.Z_SYNC_FLUSH,
  });
  readonly #streams = new Map<number, SpdyStream>();
  readonly #onStream: (stream: SpdyStream) => void;
  /** Writers that wait for the connection. */
  readonly #blocked: ((error?: Error | null) => void)[] = [];
  #replied = false;

  /** @param onStream called for each stream once the client has been told that it is there */
  constructor(socket: Duplex, onStream: (stream: SpdyStream) => void) {
    this.#socket = socket;
    this.#onStream = onStream;
    socket.on('drain', () => this.#unblock(null));
    socket.on('close', () => this.#unblock(new Error('the connection is gone')));
    // Answered by the rejected write.
    this.#inflate.on('error', () => {});
  }

  /** Serves the connection until it ends. Never rejects. */
  async run(): Promise<void> {
    const parser = new FrameParser();
    try {
      for await (const chunk of this.#socket as Readable) {
        for (const frame of parser.push(chunk as Buffer)) await this.#take(frame);
      }
    } catch {
      // Cut, or not SPDY: either way there is nobody to tell.
    } finally {
      for (const stream of this.#streams.values()) stream.destroy();
      this.#inflate.destroy();
      this.#socket.destroy();
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Calls `done` when the connection takes more, or with an error where it is gone. */
  send(frame: Buffer, done: (error?: Error | null) => void): void {
    if (this.#socket.destroyed) done(new Error('the connection is gone'));
    else if (this.#socket.write(frame)) done();
    else this.#blocked.push(done);
  }

  #unblock(error: Error | null): void {
    for (const done of this.#blocked.splice(0)) done(error);
  }

  forget(stream: SpdyStream, broken: boolean): void {
    if (this.#streams.get(stream.id) !== stream) return;
    this.#streams.delete(stream.id);
    if (broken) this.#control(TYPE.rstStream, words(stream.id, STATUS.cancel));
  }

  async #take(frame: Frame): Promise<void> {
    if (frame.kind === 'data') {
      const stream = this.#streams.get(frame.stream);
      await stream?.receive(frame.payload, (frame.flags & FLAG_FIN) !== 0);
      return;
    }
    const { payload } = frame;
    switch (frame.type) {
      case TYPE.synStream:
        return this.#open(payload, (frame.flags & FLAG_FIN) !== 0);
      case TYPE.rstStream: {
        const stream = this.#streams.get(payload.readUInt32BE(0));
        if (stream === undefined) return;
        this.#streams.delete(stream.id);
        stream.destroy();
        return;
      }
      case TYPE.headers:
        // Nothing is told by them, but they are part of the compressed stream.
        await this.#inflated(payload.subarray(4));
        return;
      case TYPE.ping:
        this.#control(TYPE.ping, payload);
        return;
      case TYPE.goAway:
        this.#socket.end();
        return;
      default:
        // Settings and windows: of no use without flow control.
        return;
    }
  }

  async #open(payload: Buffer, fin: boolean): Promise<void> {
    const id = payload.readUInt32BE(0) & 0x7f_ff_ff_ff;
    const headers = readHeaders(await this.#inflated(payload.subarray(10)));
    if (this.#streams.has(id) || this.#streams.size >= MAX_STREAMS) {
      this.#control(TYPE.rstStream, words(id, STATUS.refusedStream));
      return;
    }
    const stream = new SpdyStream(this, id, headers);
    // A stream that breaks breaks alone; whoever uses it has listeners of its own.
    stream.on('error', () => {});
    this.#streams.set(id, stream);
    const head = this.#replied ? NO_HEADERS : Buffer.concat([ZLIB_HEAD, NO_HEADERS]);
    this.#replied = true;
    this.#control(TYPE.synReply, Buffer.concat([words(id), head]));
    if (fin) await stream.receive(Buffer.alloc(0), true);
    this.#onStream(stream);
  }

  #control(type: number, payload: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(controlFrame(type, payload));
  }

  #inflated(block: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#inflate.write(block, (error) => {
        if (error) reject(error);
        else resolve((this.#inflate.read() as Buffer | null) ?? Buffer.alloc(0));
      });
    });
  }
}
