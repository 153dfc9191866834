/**
 * One HTTP/1.1 connection of the load generator: a request at a time, kept alive. It reads only as much of an answer as
 * it must to find its end, into one buffer for all connections, and makes no objects for an answer: what a general
 * client costs is more than most of what is measured.
 */
import { connect, type Socket } from 'node:net';

export interface Callbacks {
  /** `bytes` are those of the body. */
  answered(status: number, bytes: number): void;
  /** The connection is gone, and with it the request. */
  failed(reason: string): void;
}

type State = 'idle' | 'head' | 'length' | 'chunk-size' | 'chunk' | 'trailers' | 'until-close';

const NOTHING: Buffer = Buffer.alloc(0);
/** Shared: what is read is used up, or copied, before the next read. */
const SHARED = Buffer.allocUnsafeSlow(256 * 1024);
/** An answer's head, a chunk's size or a trailer that is longer than this is not one. */
const LINE_LIMIT_BYTES = 64 * 1024;
const LF = 10;
const LOWER = 0x20;

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
      let connection: Connection | undefined;
      const socket = connect({
        host,
        port,
        noDelay: true,
        onread: {
          buffer: SHARED,
          callback: (length) => {
            connection?.received(SHARED.subarray(0, length));
            return true;
          },
        },
      });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        connection = new Connection(socket, callbacks);
        resolve(connection);
      });
    });
  }

  private constructor(socket: Socket, callbacks: Callbacks) {
    this.#socket = socket;
    this.#callbacks = callbacks;
    socket.on('error', (error: NodeJS.ErrnoException) => this.#lost(error.code ?? error.message));
    socket.on('close', () => (this.#state === 'until-close' ? this.#done() : this.#lost('closed')));
  }

  get open(): boolean {
    return !this.#closed;
  }

  /** Sends a whole request, text as Latin-1; the connection must be idle. */
  send(request: string | Buffer): void {
    this.#state = 'head';
    this.#bytes = 0;
    if (typeof request === 'string') this.#socket.write(request, 'latin1');
    else this.#socket.write(request);
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

  /** Takes what was read; `chunk` may be overwritten afterwards. */
  received(chunk: Buffer): void {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = NOTHING;
    while (data.length > 0 && !this.#closed) {
      const used = this.#step(data);
      if (used < 0) {
        if (data.length > LINE_LIMIT_BYTES) this.#lost('a line without an end');
        else this.#rest = Buffer.from(data);
        return;
      }
      data = data.subarray(used);
    }
  }

  /** How many bytes it took, or -1 where it needs more. */
  #step(data: Buffer): number {
    switch (this.#state) {
      case 'head':
        return this.#head(data);
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
        const end = data.indexOf(LF);
        if (end < 0) return -1;
        const size = Number.parseInt(data.toString('latin1', 0, end), 16);
        if (!Number.isSafeInteger(size) || size < 0) {
          this.#lost('bad chunk size');
          return data.length;
        }
        this.#bytes += size;
        // The line end after the chunk belongs to it.
        this.#left = size + 2;
        this.#state = size === 0 ? 'trailers' : 'chunk';
        return end + 1;
      }
      case 'trailers': {
        const end = data.indexOf(LF);
        if (end < 0) return -1;
        if (end <= 1) this.#done();
        return end + 1;
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

  /** One pass over the bytes; only the lines that tell where the body ends are looked at. */
  #head(data: Buffer): number {
    let length = -1;
    let chunked = false;
    let line = 0;
    for (let i = 0; i < data.length; i++) {
      if (data[i] !== LF) continue;
      if (i - line <= 1) {
        this.#status = Number(data.toString('latin1', 9, 12));
        this.#begin(length, chunked);
        return i + 1;
      }
      const first = (data[line] ?? 0) | LOWER;
      if (first === 0x63 || first === 0x74) {
        const [name = '', value = ''] = data.toString('latin1', line, i).toLowerCase().split(':', 2);
        if (name === 'content-length') length = Number(value);
        else if (name === 'transfer-encoding') chunked = value.includes('chunked');
        else if (name === 'connection') this.#keepAlive = !value.includes('close');
      }
      line = i + 1;
    }
    return -1;
  }

  #begin(length: number, chunked: boolean): void {
    // An interim answer (RFC 9110, section 15.2): the answer itself is still to come.
    if (this.#status >= 100 && this.#status < 200) return;
    if (!(this.#status >= 200 && this.#status <= 599) || Number.isNaN(length)) this.#lost('no HTTP answer');
    else if (this.#status === 204 || this.#status === 304) this.#done();
    else if (chunked) this.#state = 'chunk-size';
    else if (length < 0) this.#state = 'until-close';
    else if (length === 0) this.#done();
    else {
      this.#left = length;
      this.#state = 'length';
    }
  }

  #done(): void {
    this.#state = 'idle';
    if (!this.#keepAlive) this.close();
    this.#callbacks.answered(this.#status, this.#bytes);
  }
}
