/**
 * One HTTP/1.1 connection of the load generator: a request at a time, kept alive. It reads only as much of an answer as
 * it must to find its end; a general client would cost more than most of what is measured.
 */
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  /** Of the body. */
  readonly bytes: number;
}

export interface Callbacks {
  answered(answer: Answer): void;
  /** The connection is gone, and with it the request. */
  failed(reason: string): void;
}

type State = 'idle' | 'head' | 'length' | 'chunk-size' | 'chunk' | 'trailers' | 'until-close';

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
const NOTHING: Buffer = Buffer.alloc(0);

export class Connection {
  readonly #socket: Socket;
  readonly #callbacks: Callbacks;
  #state: State = 'idle';
  #rest: Buffer = NOTHING;
  #status = 0;
  #bytes = 0;
  #left = 0;
  #keepAlive = true;
  #closed = false;

  /** Resolves when it is connected. @throws Error where it cannot */
  static open(host: string, port: number, callbacks: Callbacks): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Connection(socket, callbacks));
      });
    });
  }

  private constructor(socket: Socket, callbacks: Callbacks) {
    this.#socket = socket;
    this.#callbacks = callbacks;
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#lost(error.code ?? error.message));
    socket.on('close', () => (this.#state === 'until-close' ? this.#done() : this.#lost('closed')));
  }

  get open(): boolean {
    return !this.#closed;
  }

  /** Sends a whole request; the connection must be idle. */
  send(request: Buffer): void {
    this.#state = 'head';
    this.#bytes = 0;
    this.#socket.write(request);
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #lost(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    // Also where it was idle: nothing was asked, so nothing has failed, but it cannot be used again.
    if (this.#state !== 'idle') this.#callbacks.failed(reason);
  }

  #received(chunk: Buffer): void {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = NOTHING;
    while (data.length > 0) {
      const used = this.#step(data);
      if (used < 0) {
        this.#rest = data;
        return;
      }
      data = data.subarray(used);
    }
  }

  /** How many bytes it took, or -1 where it needs more. */
  #step(data: Buffer): number {
    switch (this.#state) {
      case 'head': {
        const end = data.indexOf(HEAD_END);
        if (end < 0) return -1;
        this.#head(data.toString('latin1', 0, end));
        return end + 4;
      }
      case 'length':
      case 'chunk': {
        const used = Math.min(this.#left, data.length);
        this.#left -= used;
        if (this.#state === 'length') this.#bytes += used;
        if (this.#left === 0) {
          if (this.#state === 'length') this.#done();
          else this.#state = 'chunk-size';
        }
        return used;
      }
      case 'chunk-size': {
        const end = data.indexOf(LINE_END);
        if (end < 0) return -1;
        const size = Number.parseInt(data.toString('latin1', 0, end), 16);
        if (!Number.isSafeInteger(size)) {
          this.#lost('bad chunk size');
          return data.length;
        }
        this.#bytes += size;
        // The line end after the chunk belongs to it.
        this.#left = size + 2;
        this.#state = size === 0 ? 'trailers' : 'chunk';
        return end + 2;
      }
      case 'trailers': {
        const end = data.indexOf(LINE_END);
        if (end < 0) return -1;
        if (end === 0) this.#done();
        return end + 2;
      }
      case 'until-close':
        this.#bytes += data.length;
        return data.length;
      case 'idle':
        this.#state = 'head';
        this.#lost('bytes after the answer');
        return data.length;
    }
  }

  #head(head: string): void {
    this.#status = Number(head.slice(9, 12));
    const lower = head.toLowerCase();
    this.#keepAlive = !lower.includes('\r\nconnection: close');
    const length = /\r\ncontent-length: *(\d+)/.exec(lower)?.[1];
    if (this.#status === 204 || this.#status === 304) this.#done();
    else if (lower.includes('\r\ntransfer-encoding: chunked')) this.#state = 'chunk-size';
    else if (length === undefined) this.#state = 'until-close';
    else if (length === '0') this.#done();
    else {
      this.#left = Number(length);
      this.#state = 'length';
    }
  }

  #done(): void {
    this.#state = 'idle';
    if (!this.#keepAlive) this.close();
    this.#callbacks.answered({ status: this.#status, bytes: this.#bytes });
  }
}
