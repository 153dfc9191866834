/** A request that asks to go on in another protocol (RFC 9110 section 7.8), and its connection from then on. */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { UpgradedStream } from '../executors/upgraded-stream.ts';
import { NodeExchange } from './exchange.ts';

/** A connection on which nothing moves is closed after this, or after the function's own idle time if that is longer. */
export const UPGRADED_IDLE_MS = 300_000;
/** How often the kernel asks whether a silent client is still there. */
const KEEP_ALIVE_MS = 30_000;
/** For how long a client that was told of the end may take for its part of it. */
const LEAVING_MS = 5_000;

/** Offers that clients make with any request, and that servers pass over. */
const PASSED_OVER = /^(?:h2c|tls\/.*|http\/.*)$/i;

/** The protocol that the client wants, or null where there is none that a function could speak. */
export function wantedProtocol({ headers, httpVersion }: IncomingMessage): string | null {
  if (httpVersion !== '1.1') return null;
  const offers = (headers.upgrade ?? '').split(',').map((offer) => offer.trim());
  return offers.find((offer) => offer !== '' && !PASSED_OVER.test(offer)) ?? null;
}

/** The request as an exchange: answered like others, or switched to the other protocol. */
export class UpgradeExchange extends NodeExchange {
  override readonly upgrade: string;
  /** What the client sends on the connection is the request's body. */
  override readonly hasBody = true;
  override readonly source: Socket;
  readonly #socket: Socket;
  #switched: UpgradedStream | null = null;
  /** Its last words are on their way: what becomes of the function's side must not overtake them. */
  #isCut = false;
  /** It was to go before it had switched. */
  #leaving = false;

  /** @param socket paused; nothing else is being sent on it */
  constructor(
    req: IncomingMessage,
    socket: Socket,
    head: Buffer,
    requestId: string,
    closing: () => boolean,
    protocol: string,
  ) {
    super(req, responseOn(req, socket), requestId, closing);
    this.upgrade = protocol;
    this.#socket = socket;
    this.source = socket;
    if (head.byteLength > 0) socket.unshift(head);
    // Each direction ends for itself, and node:http's time for the next request is none of ours.
    socket.allowHalfOpen = true;
    socket.setTimeout(0);
  }

  /** Nothing of the request is left to be read away: what comes is the other protocol's, or nobody's. */
  override get complete(): boolean {
    return true;
  }

  override get headersSent(): boolean {
    return this.#switched !== null || super.headersSent;
  }

  override get status(): number {
    return this.#switched === null ? super.status : 101;
  }

  /** A switched connection is over when it is closed, whoever closed it. */
  override get finished(): boolean {
    return this.#switched === null ? super.finished : this.#socket.closed;
  }

  override get gone(): boolean {
    return this.#socket.destroyed || super.gone;
  }

  /**
   * Switches to the protocol, and sends what the function sends, as fast as the client takes it.
   * @param fields names and values by turns, checked, without those of the connection
   */
  switchTo(protocol: string, fields: readonly string[], body: Readable, onProgress: () => void): void {
    const socket = this.#socket;
    const stream = new UpgradedStream(protocol);
    this.#switched = stream;
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    let head = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n`;
    for (let at = 0; at + 1 < fields.length; at += 2) head += `${fields[at]}: ${fields[at + 1]}\r\n`;
    socket.write(`${head}\r\n`, 'latin1');
    body.on('data', onProgress);
    const lost = (): void => {
      if (!body.readableEnded && !this.#isCut) socket.destroy();
    };
    body.on('error', lost);
    body.once('close', lost);
    body.pipe(stream).pipe(socket);
    if (this.#leaving) this.goAway();
  }

  /** Ends the connection as its client understands; the client has a moment to say goodbye to the function. */
  goAway(): void {
    this.#leaving = true;
    if (this.#switched === null) return;
    this.#switched.goAway();
    setTimeout(() => this.#socket.destroy(), LEAVING_MS).unref();
  }

  /** Ends it without waiting for anybody. */
  cut(): void {
    this.#isCut = true;
    const socket = this.#socket;
    const stream = this.#switched;
    // Where the function fell silent within a message nothing can be said behind it.
    if (stream?.mayLeave === true) {
      stream.once('end', () => socket.destroySoon());
      stream.goAway();
    } else socket.destroySoon();
    setTimeout(() => socket.destroy(), LEAVING_MS).unref();
  }
}

/** Answers on a connection that node:http has let go of, and that ends with the answer. */
function responseOn(req: IncomingMessage, socket: Socket): ServerResponse {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  res.once('finish', () => socket.destroySoon());
  res.assignSocket(socket);
  return res;
}
