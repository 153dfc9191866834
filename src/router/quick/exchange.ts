import { IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { heldWrites, type HeldWrite } from '../../held-writes.ts';
import {
  latin1Of,
  ONE_WRITE_BYTES,
  whenSent,
  type Abandonable,
  type CloseListener,
  type Exchange,
} from '../exchange.ts';
import type { RequestHead } from './request-head.ts';

/** What an exchange asks of its connection. */
export interface QuickLine {
  readonly socket: Socket;
  readonly closing: () => boolean;
  /** Whether the client has sent more than this request: it does not wait for its answer. */
  readonly more: boolean;
  /** Whether the thread has no other connection whose answer could be written with this one's. */
  readonly alone: () => boolean;
  /** The answer is with the kernel, or nothing can be sent any more. */
  ended(keepAlive: boolean): void;
}

/**
 * A request that a quick connection read, its body included, all of whose answer is written at once if it can be. What
 * streams goes over a ServerResponse on the same socket.
 */
export class QuickExchange implements Exchange, HeldWrite {
  readonly requestId: string;
  readonly arrivedMs = performance.now();
  readonly body: Uint8Array | null;
  readonly complete = true;
  call: Abandonable | null = null;
  listener: CloseListener | null = null;
  status = 200;
  finished = false;
  readonly #line: QuickLine;
  readonly #head: RequestHead;
  #req: IncomingMessage | null = null;
  #res: ServerResponse | null = null;
  #headersSent = false;
  #gone = false;
  /** The answer, head and body, where that is written at once. */
  #text = '';
  #keepAlive = false;

  /** @param body null where the request has none */
  constructor(line: QuickLine, head: RequestHead, requestId: string, body: Uint8Array | null) {
    this.#line = line;
    this.#head = head;
    this.requestId = requestId;
    this.body = body;
  }

  get hasBody(): boolean {
    return this.body !== null;
  }

  get method(): string {
    return this.#head.method;
  }

  get target(): string {
    return this.#head.target;
  }

  get rawHeaders(): readonly string[] {
    return this.#head.headers;
  }

  get clientAddress(): string {
    return this.#line.socket.remoteAddress ?? '';
  }

  get headersSent(): boolean {
    return this.#headersSent || this.#res?.headersSent === true;
  }

  get gone(): boolean {
    return this.#gone || this.#line.socket.destroyed;
  }

  header(name: string): string | undefined {
    return headerOf(this.#head.headers, name);
  }

  closing(): boolean {
    return this.#line.closing();
  }

  /** The connection is closed. */
  lost(): void {
    if (this.#gone || this.finished) return;
    this.#gone = true;
    this.listener?.closed();
  }

  sendWhole(
    status: number,
    fields: string[],
    hasDate: boolean,
    body: Uint8Array | null,
    release?: (body: Uint8Array) => void,
  ): void {
    const { socket } = this.#line;
    const keepAlive = !this.#head.close && !this.#line.closing();
    this.status = status;
    this.#headersSent = true;
    let head = statusLine(status);
    for (let at = 0; at + 1 < fields.length; at += 2) head += `${fields[at]}: ${fields[at + 1]}\r\n`;
    if (!hasDate) head += dateField();
    head += keepAlive ? '\r\n' : 'Connection: close\r\n\r\n';
    if (body === null || body.byteLength <= ONE_WRITE_BYTES) {
      this.#text = body === null || body.byteLength === 0 ? head : head + latin1Of(body);
      this.#keepAlive = keepAlive;
      if (body !== null) release?.(body);
      if (heldWrites.holds && !this.#line.more && !this.#line.alone()) heldWrites.add(this);
      else this.write();
      return;
    }
    socket.cork();
    socket.write(head, 'latin1');
    const taken = socket.write(body, release && whenSent(body, release));
    socket.uncork();
    this.#endWhen(taken, keepAlive);
  }

  /** Writes the whole answer, as it was made. */
  write(): void {
    if (!this.gone) this.#endWhen(this.#line.socket.write(this.#text, 'latin1'), this.#keepAlive);
  }

  #endWhen(taken: boolean, keepAlive: boolean): void {
    if (taken) this.#end(keepAlive);
    else this.#line.socket.once('drain', () => this.#end(keepAlive));
  }

  get req(): IncomingMessage {
    return (this.#req ??= this.#makeRequest());
  }

  get res(): ServerResponse {
    return (this.#res ??= this.#makeResponse());
  }

  #end(keepAlive: boolean): void {
    if (this.finished || this.#gone) return;
    this.finished = true;
    this.listener?.closed();
    this.#line.ended(keepAlive);
  }

  #makeRequest(): IncomingMessage {
    const { method, target, headers } = this.#head;
    const req = new IncomingMessage(this.#line.socket);
    req.httpVersionMajor = 1;
    req.httpVersionMinor = 1;
    req.httpVersion = '1.1';
    req.method = method;
    req.url = target;
    req.rawHeaders = [...headers];
    for (let at = 0; at + 1 < headers.length; at += 2) {
      const name = headers[at] ?? '';
      req.headers[name] ??= this.header(name);
    }
    req.complete = true;
    if (this.body) req.push(this.body);
    req.push(null);
    return req;
  }

  #makeResponse(): ServerResponse {
    const { socket } = this.#line;
    const res = new ServerResponse(this.req);
    const keepAlive = !this.#head.close;
    if (!keepAlive || this.#line.closing()) res.shouldKeepAlive = false;
    const onDrain = (): void => void res.emit('drain');
    // Without a listener an error on a connection that is already dead would end the process.
    res.on('error', () => undefined);
    res.once('prefinish', () => (this.status = res.statusCode));
    res.once('finish', () => {
      socket.off('drain', onDrain);
      res.detachSocket(socket);
      this.status = res.statusCode;
      this.#end(res.shouldKeepAlive);
    });
    res.once('close', () => {
      this.status = res.statusCode;
      socket.off('drain', onDrain);
    });
    socket.on('drain', onDrain);
    res.assignSocket(socket);
    return res;
  }
}

/** Several fields of one name are joined, as RFC 9110 section 5.3 allows. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] !== name) continue;
    const value = headers[at + 1] ?? '';
    found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

const statusLines = new Map<number, string>();

function statusLine(status: number): string {
  let line = statusLines.get(status);
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
    statusLines.set(status, line);
  }
  return line;
}

let dateSecond = 0;
let date = '';

/** Made once a second. */
function dateField(): string {
  const now = Date.now();
  const second = Math.trunc(now / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    date = `Date: ${new Date(now).toUTCString()}\r\n`;
  }
  return date;
}
