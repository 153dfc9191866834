/** The HTTP server of a part that runs by itself. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { FissiumError } from '../errors.ts';

export interface PlainServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly handler: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
}

export interface PlainServer {
  readonly port: number;
  /** Takes no more connections, lets requests in flight finish, at most for `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** @throws FissiumError BAD_OPTION where the port cannot be had */
export async function startPlainServer({ host, port, handler }: PlainServerOptions): Promise<PlainServer> {
  const server = createServer((request, response) => void handler(request, response));
  // Uploads of hundreds of MiB over slow lines; their silence is what counts.
  server.requestTimeout = 0;
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const { message } = error as Error;
    throw new FissiumError('BAD_OPTION', `Cannot listen on ${host}:${port}: ${message}.`, { cause: error });
  }
  return { port: (server.address() as AddressInfo).port, close: (graceMs) => closeServer(server, graceMs) };
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
}

/** An answer in plain text. */
export function answerText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
}
