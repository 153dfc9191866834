/**
 * A connection whose requests are simple so far: each head comes whole, in a form about which nobody can be of two
 * minds, and with no body or a short one whose length it says. Such requests cost a small part of what node:http takes
 * for them. At the first one that is different the connection is handed to node:http, for good: a connection has one
 * reader at a time, and never goes back.
 */
import type { Socket } from 'node:net';
import { requestId } from '../headers.ts';
import { headerOf, QuickExchange, type QuickLine } from './exchange.ts';
import { parseRequestHead } from './request-head.ts';

/** What a connection needs of its listener. */
export interface QuickHooks {
  readonly handle: (exchange: QuickExchange) => void;
  readonly closing: () => boolean;
  /** Reads the connection from now on, beginning with `bytes`. */
  readonly handOver: (connection: QuickConnection, socket: Socket, bytes: Buffer) => void;
  /** A request is in flight, and later that it is not any more. */
  readonly began: () => void;
  readonly ended: () => void;
  readonly closed: (connection: QuickConnection) => void;
  /** Whether the listener has no other such connection. */
  readonly alone: () => boolean;
}

const HEAD_END = Buffer.from('\r\n\r\n');
/** Longer heads are rare, and node:http knows what to do about them. */
const HEAD_BYTES = 8 * 1024;
/** Longer bodies stream, by node:http: their guest need not wait for all of them, nor the process hold them. */
const BODY_BYTES = 64 * 1024;
/**
 * How long a body may come behind its head. Clients that send the two in packets of their own need microseconds; one
 * that takes longer may want to hear from the guest first, and streams.
 */
const BODY_MS = 20;
/** A client that sends requests without waiting for answers gets this many before others have their turn. */
const AT_ONCE = 16;

/** A request that is not whole yet. */
interface Begun {
  readonly chunks: Buffer[];
  bytes: number;
  /** Of head and body together. */
  readonly wantedBytes: number;
  readonly timer: NodeJS.Timeout;
}

export class QuickConnection implements QuickLine {
  readonly socket: Socket;
  readonly closing: () => boolean;
  more = false;
  readonly alone: () => boolean;
  readonly #hooks: QuickHooks;
  /** Bytes of the client that are not read yet. */
  #waiting: Buffer | null = null;
  /** A head whose body is still on the way, with what there is of it. */
  #begun: Begun | null = null;
  #exchange: QuickExchange | null = null;
  #reading = false;
  #handedOver = false;
  /** Requests since the last {@link tick}. */
  #active = false;
  #quietTicks = 0;
  #served = false;

  constructor(socket: Socket, hooks: QuickHooks) {
    this.socket = socket;
    this.closing = hooks.closing;
    this.alone = hooks.alone;
    this.#hooks = hooks;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** The request that is in flight. */
  get exchange(): QuickExchange | null {
    return this.#exchange;
  }

  /** Closes the connection if it has had nothing to do for so many ticks; fewer before its first request. */
  tick(maxIdleTicks: number, maxFirstTicks: number): void {
    if (this.#active || this.#exchange !== null) {
      this.#active = false;
      this.#quietTicks = 0;
      return;
    }
    this.#quietTicks++;
    if (this.#quietTicks > (this.#served ? maxIdleTicks : maxFirstTicks)) this.socket.destroy();
  }

  closeIfIdle(): void {
    if (this.#exchange !== null) return;
    // Half a request is told that it comes too late; an idle connection just ends.
    if (this.#begun !== null) this.#handOverBegun();
    else this.socket.destroySoon();
  }

  destroy(): void {
    this.socket.destroy();
  }

  ended(keepAlive: boolean): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    if (exchange) this.#hooks.ended();
    if (!keepAlive || this.#hooks.closing()) {
      this.socket.destroySoon();
      return;
    }
    if (this.#reading || this.#waiting === null) return;
    // What was sent meanwhile; not from within the writing of the answer before.
    setImmediate(this.#goOn);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#begun !== null) {
      this.#add(this.#begun, chunk);
      return;
    }
    const bytes = this.#waiting === null ? chunk : Buffer.concat([this.#waiting, chunk]);
    this.#waiting = null;
    if (this.#exchange === null) this.#read(bytes);
    else {
      this.#waiting = bytes;
      this.socket.pause();
    }
  };

  readonly #goOn = (): void => {
    const bytes = this.#waiting;
    if (this.#handedOver || this.socket.destroyed || this.#exchange !== null) return;
    this.#waiting = null;
    if (bytes !== null) this.#read(bytes);
    if (this.#exchange === null && !this.#handedOver) this.socket.resume();
  };

  #read(bytes: Buffer): void {
    this.#active = true;
    let rest = bytes;
    this.#reading = true;
    for (let count = 0; count < AT_ONCE && rest.byteLength > 0; count++) {
      const end = rest.indexOf(HEAD_END);
      const head =
        end === -1 || end > HEAD_BYTES || this.#hooks.closing()
          ? null
          : parseRequestHead(rest.toString('latin1', 0, end + 2));
      if (head === null || head.contentLength > BODY_BYTES) {
        this.#reading = false;
        this.#handOver(rest);
        return;
      }
      const bodyAt = end + HEAD_END.byteLength;
      const bodyEnd = bodyAt + head.contentLength;
      if (rest.byteLength < bodyEnd) {
        this.#reading = false;
        this.#awaitBody(rest, bodyEnd);
        return;
      }
      const body = bodyEnd === bodyAt ? null : rest.subarray(bodyAt, bodyEnd);
      rest = rest.subarray(bodyEnd);
      this.#served = true;
      this.more = rest.byteLength > 0;
      const exchange = new QuickExchange(
        this,
        head,
        requestId(headerOf(head.headers, 'x-fission-request-id')),
        body,
      );
      this.#exchange = exchange;
      this.#hooks.began();
      this.#hooks.handle(exchange);
      if (this.#exchange !== null || this.socket.destroyed || !this.socket.writable) break;
    }
    this.#reading = false;
    if (rest.byteLength === 0) return;
    this.#waiting = rest;
    this.socket.pause();
    if (this.#exchange === null) setImmediate(this.#goOn);
  }

  #awaitBody(bytes: Buffer, wantedBytes: number): void {
    const timer = setTimeout(this.#handOverBegun, BODY_MS);
    this.#begun = { chunks: [bytes], bytes: bytes.byteLength, wantedBytes, timer };
  }

  #add(begun: Begun, chunk: Buffer): void {
    begun.chunks.push(chunk);
    begun.bytes += chunk.byteLength;
    if (begun.bytes >= begun.wantedBytes) this.#read(this.#takeBegun(begun));
  }

  #takeBegun(begun: Begun): Buffer {
    this.#begun = null;
    clearTimeout(begun.timer);
    return Buffer.concat(begun.chunks, begun.bytes);
  }

  readonly #handOverBegun = (): void => {
    if (this.#begun !== null) this.#handOver(this.#takeBegun(this.#begun));
  };

  #handOver(bytes: Buffer): void {
    this.#handedOver = true;
    const { socket } = this;
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    this.#hooks.handOver(this, socket, bytes);
  }

  /** The client sends nothing more; like node:http, that is taken for its having gone. */
  readonly #onEnd = (): void => {
    if (this.#begun !== null) {
      // It will never be whole, which node:http says.
      this.#handOverBegun();
      this.socket.emit('end');
    } else if (this.#exchange === null && this.#waiting === null) this.socket.end();
    else this.socket.destroy();
  };

  readonly #onError = (): void => undefined;

  readonly #onClose = (): void => {
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#waiting = null;
    if (this.#begun) this.#takeBegun(this.#begun);
    if (exchange) {
      exchange.lost();
      this.#hooks.ended();
    }
    this.#hooks.closed(this);
  };
}
