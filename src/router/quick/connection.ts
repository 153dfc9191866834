/**
 * A connection whose requests are simple so far: each head comes whole, in a form about which nobody can be of two
 * minds, and without a body. Such requests cost a small part of what node:http takes for them. At the first one that
 * is different the connection is handed to node:http, for good: a connection has one reader at a time, and never goes
 * back.
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
}

const HEAD_END = Buffer.from('\r\n\r\n');
/** Longer heads are rare, and node:http knows what to do about them. */
const HEAD_BYTES = 8 * 1024;
/** A client that sends requests without waiting for answers gets this many before others have their turn. */
const AT_ONCE = 16;

export class QuickConnection implements QuickLine {
  readonly socket: Socket;
  readonly closing: () => boolean;
  readonly #hooks: QuickHooks;
  /** Bytes of the client that are not read yet. */
  #waiting: Buffer | null = null;
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
    if (this.#exchange === null) this.socket.destroySoon();
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
      if (head === null || head.contentLength > 0) {
        this.#reading = false;
        this.#handOver(rest);
        return;
      }
      rest = rest.subarray(end + HEAD_END.byteLength);
      this.#served = true;
      const exchange = new QuickExchange(
        this,
        head,
        requestId(headerOf(head.headers, 'x-fission-request-id')),
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
    if (this.#exchange === null && this.#waiting === null) this.socket.end();
    else this.socket.destroy();
  };

  readonly #onError = (): void => undefined;

  readonly #onClose = (): void => {
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#waiting = null;
    if (exchange) {
      exchange.lost();
      this.#hooks.ended();
    }
    this.#hooks.closed(this);
  };
}
