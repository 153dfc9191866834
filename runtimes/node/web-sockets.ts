/** WebSockets in Fission's form, `(ws, clients)`, where the image has the package `ws`. */
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';

import { logError } from './logs.ts';
import type { UserFunction } from './user-code.ts';

/** As much of `ws` as is used: the package is the image's, not the platform's. */
interface WebSocketServer {
  readonly clients: ReadonlySet<unknown>;
  handleUpgrade(request: unknown, socket: Duplex, head: Buffer, done: (ws: WebSocket) => void): void;
}

type WebSocketServerConstructor = new (options: { noServer: boolean }) => WebSocketServer;

const PACKAGE = 'ws';

/** Hands WebSocket connections to the function; without the package `ws` they are requests like others. */
export async function acceptSockets(server: Server, functionOf: () => UserFunction | null): Promise<void> {
  const sockets = await loadServer();
  if (sockets === null) return;
  server.on('upgrade', (request, socket: Duplex, head: Buffer) => {
    const fn = functionOf();
    if (fn === null) {
      socket.end('HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
      try {
        Promise.resolve(fn(ws, sockets.clients)).catch((error: unknown) => end(ws, error));
      } catch (error) {
        end(ws, error);
      }
    });
  });
}

function end(ws: WebSocket, error: unknown): void {
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
