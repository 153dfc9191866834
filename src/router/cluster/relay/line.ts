/**
 * A connection to a pod or to another router, with one request at a time. An answer of a plain form (see
 * `answer-head.ts`) that is short is read here, as a whole, and told in the very call that brought its last byte; any
 * other one node:http reads, from the first byte on.
 */
import { connect, type Socket } from 'node:net';
import type { InvokeResponse } from '../../../executors/executor.ts';
import { latin1Of, ONE_WRITE_BYTES } from '../../exchange.ts';
import { parseAnswerHead, type AnswerHead } from './answer-head.ts';
import { replayAnswer } from './replay.ts';

/**
 * Who is told what became of a request. Exactly one of the first two is called, once, and `done`, once: after
 * a failure, and before an answer that is whole.
 */
export interface LineCall {
  readonly method: string;
  answered(response: Omit<InvokeResponse, 'coldStart'>): void;
  /** @param sent whether any byte of the request may have gone out */
  failed(cause: Error, sent: boolean): void;
  /** The pod is done with the request. */
  done(): void;
}

/** What a line tells the pool that it is of. */
export interface LineOwner {
  /** It takes another request. */
  idle(line: Line): void;
  closed(line: Line): void;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const HEAD_BYTES = 16 * 1024;
/** Longer ones stream. */
const WHOLE_BODY_BYTES = 64 * 1024;
/** For servers that do not say how long they keep a connection: shorter than any that is known does. */
const IDLE_MS = 3_000;
/** Before a server closes the connection, which a request must not meet. */
const IDLE_MARGIN_MS = 2_000;
const MAX_IDLE_MS = 60_000;

export class Line {
  readonly #owner: LineOwner;
  readonly #socket: Socket;
  readonly #connectTimer: NodeJS.Timeout;
  #call: LineCall | null = null;
  /** What the connection has to carry when it is there. */
  #unsent: { readonly head: string; readonly body: Uint8Array | null } | null = null;
  #connected = false;
  /** What there is of an answer that is not whole. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Its head, where that is there already, and where its body begins. */
  #head: { readonly parsed: AnswerHead; readonly bodyAt: number } | null = null;
  #closed = false;
  #reusableUntilMs = Infinity;
  #error: Error | null = null;
  #handedOver = false;

  /** @param connectTimeoutMs how long connecting may take */
  constructor(owner: LineOwner, address: { host: string; port: number }, connectTimeoutMs: number) {
    this.#owner = owner;
    this.#socket = connect({ ...address, noDelay: true });
    this.#connectTimer = setTimeout(() => {
      this.#socket.destroy(Object.assign(new Error('connecting took too long'), { code: 'ETIMEDOUT' }));
    }, connectTimeoutMs);
    this.#socket.on('connect', this.#onConnect);
    this.#socket.on('data', this.#onData);
    this.#socket.on('end', this.#onEnd);
    this.#socket.on('error', this.#onError);
    this.#socket.on('close', this.#onClose);
  }

  /** Whether a request may still be sent on it. */
  isUsable(nowMs: number): boolean {
    return !this.#closed && !this.#socket.destroyed && this.#socket.writable && nowMs < this.#reusableUntilMs;
  }

  /** Sends a request. Nothing else may be on the line. */
  send(call: LineCall, head: string, body: Uint8Array | null): void {
    this.#call = call;
    if (this.#connected) this.#write(head, body);
    else this.#unsent = { head, body };
  }

  /** Breaks off what is on the line, for a call that nobody waits for any more. The call is told that it is done. */
  cancel(): void {
    const call = this.#call;
    this.#call = null;
    this.#socket.destroy();
    call?.done();
  }

  /** Ends it. Only for a line without a call. */
  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #write(head: string, body: Uint8Array | null): void {
    if (body === null || body.byteLength === 0) this.#socket.write(head, 'latin1');
    else if (body.byteLength <= ONE_WRITE_BYTES) this.#socket.write(head + latin1Of(body), 'latin1');
    else {
      this.#socket.cork();
      this.#socket.write(head, 'latin1');
      this.#socket.write(body);
      this.#socket.uncork();
    }
  }

  readonly #onConnect = (): void => {
    clearTimeout(this.#connectTimer);
    this.#connected = true;
    const unsent = this.#unsent;
    this.#unsent = null;
    if (unsent !== null) this.#write(unsent.head, unsent.body);
  };

  readonly #onData = (chunk: Buffer): void => {
    const call = this.#call;
    if (call === null) {
      // Nobody asked.
      this.#socket.destroy();
      return;
    }
    this.#bytes += chunk.byteLength;
    if (this.#chunks.length === 0 && this.#head === null) {
      this.#read(call, chunk);
      return;
    }
    this.#chunks.push(chunk);
    const { parsed, bodyAt } = this.#head ?? {};
    if (parsed !== undefined && bodyAt !== undefined && this.#bytes < bodyAt + parsed.bodyBytes) return;
    const bytes = Buffer.concat(this.#chunks, this.#bytes);
    if (this.#head === null) this.#read(call, bytes);
    else this.#finish(call, this.#head.parsed, bytes, this.#head.bodyAt);
  };

  /** @param bytes everything that has come of the answer; its head is not known yet */
  #read(call: LineCall, bytes: Buffer): void {
    const end = bytes.indexOf(HEAD_END);
    if (end === -1 && bytes.byteLength < HEAD_BYTES) {
      this.#chunks = [bytes];
      return;
    }
    const parsed =
      end === -1 || end > HEAD_BYTES
        ? null
        : parseAnswerHead(bytes.toString('latin1', 0, end + 2), call.method === 'HEAD');
    if (parsed === null || parsed.bodyBytes > WHOLE_BODY_BYTES) {
      this.#handOver(call, bytes);
      return;
    }
    const bodyAt = end + HEAD_END.byteLength;
    if (bytes.byteLength < bodyAt + parsed.bodyBytes) {
      this.#chunks = [bytes];
      this.#head = { parsed, bodyAt };
      return;
    }
    this.#finish(call, parsed, bytes, bodyAt);
  }

  #finish(call: LineCall, head: AnswerHead, bytes: Buffer, bodyAt: number): void {
    const end = bodyAt + head.bodyBytes;
    const { status, headers, keepAlive, idleMs } = head;
    // More than the answer is nobody's: such a connection is not to be trusted with another request.
    this.#release(keepAlive && bytes.byteLength === end, idleMs);
    call.done();
    call.answered({ status, headers, body: bytes.subarray(bodyAt, end), trailers: [] });
  }

  /** The request is over; the line waits for another, or ends. */
  #release(reusable: boolean, idleMs: number | null): void {
    this.#call = null;
    this.#chunks = [];
    this.#bytes = 0;
    this.#head = null;
    const keptMs = idleMs === null ? IDLE_MS : Math.min(idleMs - IDLE_MARGIN_MS, MAX_IDLE_MS);
    if (!reusable || this.#closed || keptMs <= 0) {
      this.#socket.destroy();
      return;
    }
    this.#reusableUntilMs = performance.now() + keptMs;
    this.#owner.idle(this);
  }

  /** node:http reads the answer, and tells the call; when it is over the line is free again, or ends. */
  #handOver(call: LineCall, bytes: Buffer): void {
    const socket = this.#socket;
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    this.#handedOver = true;
    replayAnswer(socket, bytes, call, (reusable) => {
      this.#handedOver = false;
      if (reusable) {
        socket.on('data', this.#onData);
        socket.on('end', this.#onEnd);
        socket.resume();
      }
      this.#release(reusable, null);
      call.done();
    });
  }

  readonly #onEnd = (): void => {
    this.#socket.destroy(Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' }));
  };

  readonly #onError = (error: Error): void => {
    this.#error = error;
  };

  readonly #onClose = (): void => {
    clearTimeout(this.#connectTimer);
    this.#closed = true;
    const call = this.#call;
    this.#call = null;
    this.#owner.closed(this);
    if (call === null) return;
    if (this.#handedOver) return;
    call.failed(this.#error ?? new Error('the connection was closed'), this.#connected);
    call.done();
  };
}
