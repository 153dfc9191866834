/** A connection that opens again when it was lost, and tells what became of its request. */
import { readFileSync } from 'node:fs';
import { Connection } from './connection.ts';
import type { Target } from './job.ts';

/** A request as it goes over the wire. */
export interface Prepared {
  readonly host: string;
  readonly port: number;
  /** Text where there is no body: it is written faster. */
  readonly request: string | Buffer;
}

/** @throws TypeError where the target is none that can be asked; Error where its body cannot be read */
export function prepare(target: Target): Prepared {
  const url = new URL(target.url);
  if (url.protocol !== 'http:')
    throw new TypeError(
      `${target.url}: the load generator speaks http only, so that TLS is not measured with it`,
    );
  const body =
    target.bodyFile === undefined ? Buffer.alloc(target.bodyBytes, 'x') : readFileSync(target.bodyFile);
  const hasBody = body.length > 0 || target.method === 'POST' || target.method === 'PUT';
  const headers = { ...(hasBody ? { 'content-length': String(body.length) } : {}), ...target.headers };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `${target.method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n${lines.join('')}\r\n`;
  return {
    // IPv6 addresses stand in brackets in a URL and nowhere else.
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 80 : Number(url.port),
    request: body.length === 0 ? head : Buffer.concat([Buffer.from(head, 'latin1'), body]),
  };
}

/** A status, and the body's bytes; or what went wrong. */
export type Over = (client: Client, status: number | string, bytes: number) => void;

export class Client {
  readonly target: Prepared;
  readonly #over: Over;
  #connection: Connection | null = null;
  sentAtMs = 0;
  intendedAtMs = 0;

  constructor(target: Prepared, over: Over) {
    this.target = target;
    this.#over = over;
  }

  async connect(): Promise<void> {
    this.#connection = await Connection.open(this.target.host, this.target.port, {
      answered: (status, bytes) => this.#over(this, status, bytes),
      failed: (reason) => this.#over(this, reason, 0),
    });
  }

  /** Sends; connects first where there is no connection (and that time counts). */
  send(intendedAtMs: number, nowMs: number): void {
    this.intendedAtMs = intendedAtMs;
    this.sentAtMs = nowMs;
    if (this.#connection?.open === true) {
      this.#connection.send(this.target.request);
      return;
    }
    this.connect().then(
      () => this.#connection?.send(this.target.request),
      (error: NodeJS.ErrnoException) => this.#over(this, error.code ?? error.message, 0),
    );
  }

  close(): void {
    this.#connection?.close();
  }
}
