/** The guest's standard streams: the request's body in, the answer out. */
import { FissiumError } from '../../../src/errors.ts';
import type { GuestBodySource } from '../engine.ts';
import { threadMemory } from '../pool/thread.ts';
import { CHUNK_WEIGHT, HOST_BYTES_FREE } from '../wasi/limits.ts';
import type { GuestState } from '../wasi/state.ts';
import { CgiHeadReader } from './cgi-response.ts';

/** Output that is collected before it is sent on; what a guest writes line by line would be a message a line. */
const FLUSH_BYTES = 32 * 1024;

/** So many small writes are put together: each alone costs more than its bytes. */
const MOST_PENDING = 64;
const PAGE_BYTES = 65_536;

const EMPTY = new Uint8Array(0);

/** The request's body, pulled as the guest reads. */
export class Stdin {
  readonly #body: GuestBodySource | null;
  readonly #limitBytes: number;
  #chunk: Uint8Array = EMPTY;
  /** What comes behind {@link #chunk}, read ahead. */
  #kept: Uint8Array[] = [];
  /** Of the process's memory for guests, for what is kept. */
  #takenPages = 0;
  #closed = false;
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
      for (let at = 0; at < part.length && this.#chunk.length > 0;) {
        const now = this.#chunk.subarray(0, part.length - at);
        part.set(now, at);
        at += now.length;
        total += now.length;
        this.#chunk = this.#chunk.subarray(now.length);
        if (this.#chunk.length === 0) this.#chunk = this.#kept.pop() ?? EMPTY;
      }
    }
    return total;
  }

  /**
   * Reads the whole body and keeps it to be taken; gives its length. For bodies that come without one.
   * @throws FissiumError PLATFORM_BUSY where the process has no memory left to keep it; as {@link wait}
   */
  async buffer(): Promise<number> {
    const chunks: Uint8Array[] = [];
    for (await this.wait(); this.#chunk.length > 0; await this.wait()) {
      if (this.#closed) return 0;
      chunks.push(this.#chunk);
      this.#chunk = EMPTY;
      this.#countKept(this.#readBytes + chunks.length * CHUNK_WEIGHT);
    }
    this.#kept = chunks.reverse();
    this.#chunk = this.#kept.pop() ?? EMPTY;
    return this.#readBytes;
  }

  /** The guest is gone: nothing is kept for it any more. */
  close(): void {
    this.#closed = true;
    this.#kept = [];
    threadMemory.giveBack({ memories: 0, pages: this.#takenPages });
    this.#takenPages = 0;
  }

  /** What an invocation may hold in any case is not counted, as with everything else that is held for it. */
  #countKept(bytes: number): void {
    const pages = Math.ceil((bytes - HOST_BYTES_FREE) / PAGE_BYTES) - this.#takenPages;
    if (pages <= 0) return;
    if (!threadMemory.take({ memories: 0, pages })) {
      throw new FissiumError(
        'PLATFORM_BUSY',
        'the platform has no memory left to keep this request body, which came without its length',
      );
    }
    this.#takenPages += pages;
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
  readonly #state: GuestState;
  readonly #head = new CgiHeadReader();
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #bodyBytes = 0;
  #announcedBytes: number | null = null;
  #hasHead = false;

  constructor(state: GuestState) {
    this.#state = state;
  }

  get hasHead(): boolean {
    return this.#hasHead;
  }

  /** Whether so much has come together that the guest should wait for {@link flush}. */
  get full(): boolean {
    return this.#pendingBytes >= FLUSH_BYTES;
  }

  /**
   * Takes a copy of the bytes, which counts as held by the host until it is sent on.
   * @throws FissiumError GUEST_BAD_RESPONSE where the head makes no sense, or the body has more than it announced
   */
  push(bytes: Uint8Array): void {
    if (this.#hasHead) {
      this.#add(bytes);
      return;
    }
    const head = this.#head.push(bytes);
    if (!head) return;
    this.#hasHead = true;
    this.#announcedBytes = announcedLength(head.headers);
    this.#state.context.response.head(head.status, head.headers);
    this.#add(head.rest);
  }

  /** Sends what has come together; resolves when the client's side has room for more, undefined where it has now. */
  flush(): Promise<void> | undefined {
    if (this.#pendingBytes === 0) return undefined;
    const [only] = this.#pending;
    const bytes = this.#pending.length === 1 && only ? only : new Uint8Array(Buffer.concat(this.#pending));
    this.#pending = [];
    this.#pendingBytes = 0;
    const sent = this.#state.context.response.write(bytes);
    if (!sent) {
      this.#state.hold(-bytes.length);
      return undefined;
    }
    return sent.finally(() => this.#state.hold(-bytes.length));
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
      this.#state.context.response.end([]);
    };
    if (flushed) return flushed.then(finish);
    finish();
    return undefined;
  }

  #add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#bodyBytes += bytes.length;
    if (this.#announcedBytes !== null && this.#bodyBytes > this.#announcedBytes) throw this.#wrongLength();
    this.#state.hold(bytes.length);
    this.#pending.push(bytes.slice());
    this.#pendingBytes += bytes.length;
    if (this.#pending.length === MOST_PENDING) this.#pending = [new Uint8Array(Buffer.concat(this.#pending))];
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
