/** WebSockets in Fission's form, `(ws, clients)`, where the image has the package `ws`. */
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';

import { logError } from './logs.ts';
import type { UserFunction } from './user-code.ts';

/** As much of a connection of `ws` as is used. */
interface Connection {
  on(event: 'pong' | 'close', listener: () => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  ping(): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
}

/** As much of `ws` as is used: the package is the image's, not the platform's. */
interface WebSocketServer {
  readonly clients: ReadonlySet<Connection>;
  handleUpgrade(request: unknown, socket: Duplex, head: Buffer, done: (ws: Connection) => void): void;
}

type WebSocketServerConstructor = new (options: { noServer: boolean }) => WebSocketServer;

export interface AcceptedSockets {
  /** Tells every client that the server goes away. */
  close(): void;
}

const PACKAGE = 'ws';
/** Proxies close what is silent for longer, most after a minute; a client that does not answer in between is gone. */
const PING_MS = 25_000;
const GOING_AWAY = 1001;

/** Hands WebSocket connections to the function; without the package `ws` they are requests like others. */
export async function acceptSockets(
  server: Server,
  functionOf: () => UserFunction | null,
): Promise<AcceptedSockets> {
  const sockets = await loadServer();
  if (sockets === null) return { close: () => undefined };
  server.on('upgrade', (request, socket: Duplex, head: Buffer) => {
    const fn = functionOf();
    if (fn === null) {
      socket.end('HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
      // Without a listener a client that breaks the protocol would end the process.
      ws.on('error', (error) => logError('WebSocket', error));
      keepAlive(ws);
      try {
        Promise.resolve(fn(ws, sockets.clients)).catch((error: unknown) => end(ws, error));
      } catch (error) {
        end(ws, error);
      }
    });
  });
  return {
    close: () => {
      for (const ws of sockets.clients) ws.close(GOING_AWAY, 'going away');
    },
  };
}

function keepAlive(ws: Connection): void {
  let isAlive = true;
  const timer = setInterval(() => {
    if (!isAlive) {
      ws.terminate();
      return;
    }
    isAlive = false;
    ws.ping();
  }, PING_MS);
  ws.on('pong', () => (isAlive = true));
  ws.on('close', () => clearInterval(timer));
}

function end(ws: Connection, error: unknown): void {
  logError('Function error', error);
  ws.close();
}

async function loadServer(): Promise<WebSocketServer | null> {
  try {
    const loaded = (await import(PACKAGE)) as { WebSocketServer: WebSocketServerConstructor };
    return new loaded.WebSocketServer({ noServer: true });
  } catch {
    return null;
  }
}
