/** Accepts connections in the main thread and hands each, unread, to the thread that has the fewest. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import { listenError } from '../listener.ts';

export interface AcceptorOptions {
  readonly logger: Logger;
  /** Hands a connection on; false where nobody can take it yet. */
  readonly give: (socket: Socket) => boolean;
}

/** Connections that wait until a thread can take them, while the threads start or are being replaced. */
const MAX_WAITING = 1024;

export class Acceptor {
  readonly #server: Server;
  readonly #give: AcceptorOptions['give'];
  readonly #waiting: Socket[] = [];

  constructor({ logger, give }: AcceptorOptions) {
    this.#give = give;
    // Paused: bytes that were read here could not be moved any more.
    this.#server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => this.#take(socket));
    this.#server.on('error', (err) => logger.error({ err }, 'Acceptor failed'));
  }

  /** Listens; resolves with the port taken. Rejects with BAD_OPTION where another process has it. */
  async listen(host: string, port: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, host, port));
    this.#server.once('error', onError);
    this.#server.listen({ host, port }, resolve);
    await promise;
    this.#server.off('error', onError);
    return (this.#server.address() as AddressInfo).port;
  }

  /** A thread can take connections again: hands on those that wait. */
  resume(): void {
    while (this.#waiting[0] && this.#give(this.#waiting[0])) this.#waiting.shift();
  }

  /** Takes no more connections; those that nobody took are closed. */
  async close(): Promise<void> {
    for (const socket of this.#waiting.splice(0)) socket.destroy();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #take(socket: Socket): void {
    if (this.#waiting.length === 0 && this.#give(socket)) return;
    if (this.#waiting.length >= MAX_WAITING) socket.destroy();
    else this.#waiting.push(socket);
  }
}
