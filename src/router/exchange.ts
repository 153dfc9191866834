/** One request on its connection, and the way that its answer goes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FissiumError } from '../errors.ts';
import { type BodySource, hasBody } from './request-body.ts';

/** What can be given up when a listener's time to close is over. */
export interface Abandonable {
  fail(error: FissiumError): void;
  /** Has a connection that was upgraded end, as its client understands; other calls go on. */
  goAway(): void;
}

/** Told when nothing more can be sent: the answer is with the kernel, or the client is gone. */
export interface CloseListener {
  closed(): void;
}

/**
 * The request as the router sees it. Node's own objects are there for whatever is not whole at once; an exchange of
 * a quick connection makes them when they are asked for, which costs it more than the rest of a request.
 */
export interface Exchange {
  readonly requestId: string;
  /** `performance.now()` at its arrival. */
  readonly arrivedMs: number;
  readonly method: string;
  /** As in the request line. */
  readonly target: string;
  /** Names and values by turns, in order, repeats kept. */
  readonly rawHeaders: readonly string[];
  /** '' where the connection is gone. */
  readonly clientAddress: string;
  readonly hasBody: boolean;
  /** The body where it came as a whole before the exchange began; null where there is none, or `req` streams it. */
  readonly body: Uint8Array | null;
  /** Whether everything of the request has arrived. */
  readonly complete: boolean;
  /** A header's value by its name in lower case; those of several fields joined. */
  header(name: string): string | undefined;
  /** Whether the listener is being closed, so that the connection may not be used again. */
  closing(): boolean;
  /** What ends with the exchange when the listener's time is over. */
  call: Abandonable | null;
  /** Who is told of its end; null for nobody. */
  listener: CloseListener | null;
  readonly req: IncomingMessage;
  /** Where the body comes from; absent: `req`. */
  readonly source?: BodySource | null;
  /** The protocol in which the client asks to go on; absent: it does not. */
  readonly upgrade?: string;
  readonly res: ServerResponse;
  readonly headersSent: boolean;
  /** Status of the answer, once it has one. */
  readonly status: number;
  /** Whether everything of the answer is with the kernel. */
  readonly finished: boolean;
  /** Whether nothing can be sent any more. */
  readonly gone: boolean;
  /**
   * Sends an answer that is there as a whole. Fields are checked before, and say the body's length unless the answer
   * may have no body; the connection's own fields and the date are added where `hasDate` does not say that it is
   * there.
   *
   * @param release told of the body when the kernel has it
   */
  sendWhole(
    status: number,
    fields: string[],
    hasDate: boolean,
    body: Uint8Array | null,
    release?: (body: Uint8Array) => void,
  ): void;
}

/** Joining larger bodies to their heads would cost more than it saves. */
export const ONE_WRITE_BYTES = 16 * 1024;

/** A body as text, one character a byte, to be joined to its head. */
export function latin1Of(body: Uint8Array): string {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return bytes.toString('latin1');
}

/** For the write of a body that is to be released once it is with the kernel; what failed may be on its way there. */
export function whenSent(
  body: Uint8Array,
  release: (body: Uint8Array) => void,
): (error?: Error | null) => void {
  return (error) => {
    if (!error) release(body);
  };
}

/** A request that node:http read. */
export class NodeExchange implements Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
  readonly arrivedMs = performance.now();
  readonly closing: () => boolean;
  readonly hasBody: boolean;
  readonly body = null;
  source: BodySource | null = null;
  readonly upgrade: string | undefined = undefined;
  call: Abandonable | null = null;
  listener: CloseListener | null = null;

  constructor(req: IncomingMessage, res: ServerResponse, requestId: string, closing: () => boolean) {
    this.req = req;
    this.res = res;
    this.requestId = requestId;
    this.closing = closing;
    this.hasBody = hasBody(req);
    res.once('close', () => this.listener?.closed());
  }

  get method(): string {
    return this.req.method ?? 'GET';
  }

  get target(): string {
    return this.req.url ?? '/';
  }

  get rawHeaders(): readonly string[] {
    return this.req.rawHeaders;
  }

  get clientAddress(): string {
    return this.req.socket.remoteAddress ?? '';
  }

  get complete(): boolean {
    return this.req.complete;
  }

  get headersSent(): boolean {
    return this.res.headersSent;
  }

  get status(): number {
    return this.res.statusCode;
  }

  get finished(): boolean {
    return this.res.writableFinished;
  }

  get gone(): boolean {
    return this.res.destroyed || this.res.socket === null;
  }

  header(name: string): string | undefined {
    const value = this.req.headers[name];
    return typeof value === 'string' ? value : value?.join(', ');
  }

  sendWhole(
    status: number,
    fields: string[],
    _hasDate: boolean,
    body: Uint8Array | null,
    release?: (body: Uint8Array) => void,
  ): void {
    const { res } = this;
    res.writeHead(status, fields);
    if (body === null) res.end();
    else if (body.byteLength <= ONE_WRITE_BYTES && Buffer.isBuffer(body)) {
      // As text, one byte a character, Node joins it to the head: one short write instead of two in a vector.
      res.end(body.toString('latin1'), 'latin1');
      release?.(body);
    } else res.end(body, release && whenSent(body, release));
  }
}
