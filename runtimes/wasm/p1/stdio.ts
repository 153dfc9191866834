/** The guest's standard streams: the request's body in, the answer out. */
import { FissiumError } from '../../../src/errors.ts';
import type { GuestBodySource, GuestResponseSink } from '../engine.ts';
import { CgiHeadReader } from './cgi-response.ts';

/** Output that is collected before it is sent on; what a guest writes line by line would be a message a line. */
const FLUSH_BYTES = 32 * 1024;

const EMPTY = new Uint8Array(0);

/** The request's body, pulled as the guest reads. */
export class Stdin {
  readonly #body: GuestBodySource | null;
  readonly #limitBytes: number;
  #chunk: Uint8Array = EMPTY;
  #readBytes = 0;
  #ended: boolean;

  constructor(body: GuestBodySource | null, limitBytes: number) {
    this.#body = body;
    this.#limitBytes = limitBytes;
    this.#ended = body === null;
  }

  /** Whether `take` has something to give (or the end) without waiting. */
  get ready(): boolean {
    return this.#ended || this.#chunk.length > 0;
  }

  /**
   * Waits until {@link ready}.
   * @throws FissiumError BODY_TOO_LARGE past the limit; whatever the sender's failure is
   */
  async wait(): Promise<void> {
    while (!this.ready) {
      const chunk = (await this.#body?.read()) ?? null;
      if (chunk === null) {
        this.#ended = true;
        return;
      }
      this.#readBytes += chunk.length;
      if (this.#readBytes > this.#limitBytes) throw bodyTooLarge(this.#limitBytes);
      this.#chunk = chunk;
    }
  }

  /** Fills the parts as far as there is something; 0 at the end. */
  take(parts: readonly Uint8Array[]): number {
    let total = 0;
    for (const part of parts) {
      const now = this.#chunk.subarray(0, part.length);
      part.set(now);
      this.#chunk = this.#chunk.subarray(now.length);
      total += now.length;
    }
    return total;
  }

  /** Reads the whole body and keeps it to be taken; gives its length. For bodies that come without one. */
  async buffer(): Promise<number> {
    const chunks: Uint8Array[] = [];
    for (await this.wait(); this.#chunk.length > 0; await this.wait()) {
      chunks.push(this.#chunk);
      this.#chunk = EMPTY;
    }
    this.#chunk = new Uint8Array(Buffer.concat(chunks));
    return this.#chunk.length;
  }
}

export function bodyTooLarge(limitBytes: number): FissiumError {
  return new FissiumError(
    'BODY_TOO_LARGE',
    `the request body has more than ${limitBytes} bytes, which this function may take`,
  );
}

/** Turns what the guest writes into an answer. */
export class Stdout {
  readonly #response: GuestResponseSink;
  readonly #head = new CgiHeadReader();
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #bodyBytes = 0;
  #announcedBytes: number | null = null;
  #hasHead = false;

  constructor(response: GuestResponseSink) {
    this.#response = response;
  }

  get hasHead(): boolean {
    return this.#hasHead;
  }

  /** Whether so much has come together that the guest should wait for {@link flush}. */
  get full(): boolean {
    return this.#pendingBytes >= FLUSH_BYTES;
  }

  /**
   * Takes a copy of the bytes.
   * @throws FissiumError GUEST_BAD_RESPONSE where the head makes no sense, or the body has more than it announced
   */
  push(bytes: Uint8Array): void {
    if (this.#hasHead) {
      this.#add(bytes.slice());
      return;
    }
    const head = this.#head.push(bytes);
    if (!head) return;
    this.#hasHead = true;
    this.#announcedBytes = announcedLength(head.headers);
    this.#response.head(head.status, head.headers);
    this.#add(head.rest);
  }

  /** Sends what has come together; resolves when the client's side has room for more, undefined where it has now. */
  flush(): Promise<void> | undefined {
    if (this.#pendingBytes === 0) return undefined;
    const [only] = this.#pending;
    const bytes = this.#pending.length === 1 && only ? only : new Uint8Array(Buffer.concat(this.#pending));
    this.#pending = [];
    this.#pendingBytes = 0;
    return this.#response.write(bytes);
  }

  /**
   * The program has ended by itself: sends the rest. Undefined where nothing has to be waited for.
   * @throws FissiumError where its output is no whole answer
   */
  end(): Promise<void> | undefined {
    if (!this.#hasHead) throw this.#head.atEnd();
    const flushed = this.flush();
    const finish = (): void => {
      if (this.#announcedBytes !== null && this.#bodyBytes < this.#announcedBytes) throw this.#wrongLength();
      this.#response.end([]);
    };
    if (flushed) return flushed.then(finish);
    finish();
    return undefined;
  }

  #add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#bodyBytes += bytes.length;
    if (this.#announcedBytes !== null && this.#bodyBytes > this.#announcedBytes) throw this.#wrongLength();
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
  }

  #wrongLength(): FissiumError {
    return new FissiumError(
      'GUEST_BAD_RESPONSE',
      `the function announced ${this.#announcedBytes} bytes (Content-Length), but wrote ${this.#bodyBytes}`,
    );
  }
}

function announcedLength(headers: readonly (readonly [name: string, value: string])[]): number | null {
  const value = headers.find(([name]) => name === 'content-length')?.[1];
  if (value === undefined) return null;
  if (!/^\d{1,15}$/.test(value)) {
    throw new FissiumError(
      'GUEST_BAD_RESPONSE',
      `the function's Content-Length is ${JSON.stringify(value)}, not a number`,
    );
  }
  return Number(value);
}
