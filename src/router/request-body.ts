import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { FissiumError } from '../errors.ts';
import type { HeaderList } from '../executors/executor.ts';
import { requestTrailers } from './headers.ts';

/** Whether a request has a body (RFC 9112 section 6.3). */
export function hasBody(req: IncomingMessage): boolean {
  if (req.headers['transfer-encoding'] !== undefined) return true;
  const length = req.headers['content-length'];
  return length !== undefined && length !== '0';
}

/** What a body is read from: the request itself, or what was held of it. */
export type BodySource = Pick<Readable, 'on' | 'off' | 'pause' | 'resume'> & {
  /** As they stand in the message; absent: there are none. */
  readonly rawTrailers?: readonly string[];
};

/** A body that is there already. Its trailers are not, since nothing vouches for them. */
export class HeldBodySource extends Readable {
  readonly rawTrailers: string[] = [];
  readonly #chunks: Iterator<Buffer>;

  constructor(chunks: Iterable<Buffer>) {
    super();
    this.#chunks = chunks[Symbol.iterator]();
  }

  override _read(): void {
    const next = this.#chunks.next();
    this.push(next.done === true ? null : next.value);
  }
}

export interface RequestBodyOptions {
  readonly limitBytes: number;
  /** Called when the first byte is wanted: the moment to answer `100 Continue`. */
  readonly onWanted: () => void;
  /** Called for each chunk that arrives. */
  readonly onProgress: () => void;
}

/**
 * A request's body as the invoker reads it: pulled from the connection only as fast as it is read. Destroyed
 * with BODY_TOO_LARGE when it crosses the limit. Destroying it leaves the connection alone, which may still
 * have to carry the answer.
 */
export class RequestBody extends Readable {
  /** Resolves when the body has ended; empty where it ended early. */
  readonly trailers: Promise<HeaderList>;
  readonly #req: BodySource;
  readonly #options: RequestBodyOptions;
  readonly #resolveTrailers: (trailers: HeaderList) => void;
  #received = 0;
  #wanted = false;
  #starved = false;

  constructor(req: BodySource, options: RequestBodyOptions) {
    super({ highWaterMark: 64 * 1024 });
    this.#req = req;
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<HeaderList>();
    this.trailers = promise;
    this.#resolveTrailers = resolve;
    req.on('data', this.#onData);
    req.on('end', this.#onEnd);
    req.pause();
  }

  /** Whether the reader wants bytes that the client has not sent. */
  get starved(): boolean {
    return this.#starved && !this.readableEnded && !this.destroyed;
  }

  override _read(): void {
    if (!this.#wanted) {
      this.#wanted = true;
      this.#options.onWanted();
    }
    this.#starved = true;
    this.#req.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#req.off('data', this.#onData);
    this.#req.off('end', this.#onEnd);
    this.#req.pause();
    this.#resolveTrailers([]);
    callback(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received += chunk.length;
    this.#starved = false;
    this.#options.onProgress();
    if (this.#received > this.#options.limitBytes) {
      this.destroy(
        new FissiumError(
          'BODY_TOO_LARGE',
          `The request's body is larger than the ${this.#options.limitBytes} bytes that the function takes.`,
        ),
      );
      return;
    }
    if (!this.push(chunk)) this.#req.pause();
    else this.#starved = true;
  };

  readonly #onEnd = (): void => {
    this.#starved = false;
    this.#resolveTrailers(requestTrailers(this.#req.rawTrailers ?? []));
    this.push(null);
  };
}

/** Smaller ones may lie in buffers that others use. */
const FREED_BYTES = 16 * 1024;

/**
 * Gives a chunk's memory back without waiting for the collector. V8 counts memory outside of its heap, and collects all
 * of its heap after each 64 MiB of that: bodies would bring it to do so many times in a second.
 */
export function freeChunk({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < FREED_BYTES || byteLength !== buffer.byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** What is read and thrown away of a body that nobody wants, before the connection is given up. */
const LEFTOVER_BYTES = 256 * 1024;
const LEFTOVER_MS = 2_000;
const HALF_CLOSED_MS = 500;

/**
 * After an answer to a request whose body was not read whole: reads a small rest away, so that the connection
 * can be used again, and ends the connection where more comes.
 */
export function discardRest(req: IncomingMessage): void {
  if (req.complete || req.socket.destroyed) return;
  let discarded = 0;
  let gaveUp = false;
  const giveUp = (): void => {
    if (gaveUp) return;
    gaveUp = true;
    // Half closed first: bytes that meet a closed socket reset it, and the client may lose the answer.
    req.socket.end();
    setTimeout(() => req.socket.destroy(), HALF_CLOSED_MS).unref();
  };
  const timer = setTimeout(giveUp, LEFTOVER_MS).unref();
  const stop = (): void => clearTimeout(timer);
  req.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > LEFTOVER_BYTES) giveUp();
  });
  req.once('end', stop);
  req.once('close', stop);
  req.resume();
}
