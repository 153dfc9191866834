/**
 * Answers that a line does not read itself: streams, chunked and long ones, ones without a length, interim ones, and
 * whatever is not of a form that is plain to everybody. node:http's client reads them, from the bytes that have come.
 */
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { HeaderList } from '../../../executors/executor.ts';
import { pairs } from '../../../executors/http-target.ts';
import type { LineCall } from './line.ts';

/** A connection on which the request was sent already, and which begins with bytes that were read already. */
class Replay extends Duplex {
  readonly #socket: Socket;
  readonly #freed: (reusable: boolean, error: Error | null) => void;
  /** The answer, when its head is there. */
  answer: IncomingMessage | null = null;

  constructor(socket: Socket, bytes: Buffer, freed: (reusable: boolean, error: Error | null) => void) {
    super();
    this.#socket = socket;
    this.#freed = freed;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    socket.pause();
    this.push(bytes);
  }

  /** What node:http's client does with a connection when it is done with it. */
  destroySoon(): void {
    this.destroy();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(_chunk: unknown, _encoding: BufferEncoding, callback: () => void): void {
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const socket = this.#socket;
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    const isOver = error === null && this.answer?.complete === true && keepsAlive(this.answer);
    // What is left over belongs to no request.
    this.#freed(isOver && this.readableLength === 0 && !socket.destroyed && socket.writable, error);
    callback(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#socket.pause();
  };

  readonly #onEnd = (): void => void this.push(null);

  readonly #onError = (error: Error): void => void this.destroy(error);

  readonly #onClose = (): void => {
    if (!this.readableEnded) this.push(null);
  };
}

/**
 * @param bytes everything that has come of the answer
 * @param freed told once, when nothing of the answer is still to come: whether the socket takes another request
 */
export function replayAnswer(
  socket: Socket,
  bytes: Buffer,
  call: LineCall,
  freed: (reusable: boolean) => void,
): void {
  let told = false;
  const fail = (error: Error): void => {
    // Behind the head the answer's body tells it.
    if (!told) call.failed(error, true);
    told = true;
  };
  const replay = new Replay(socket, bytes, (reusable, error) => {
    // What node:http's client has against the answer it says after it has let go of the connection.
    queueMicrotask(() => {
      fail(error ?? new Error('the connection was closed'));
      freed(reusable);
    });
  });
  // Of the request only the method counts any more: it says whether the answer has a body.
  const client = request({ createConnection: () => replay, method: call.method, setDefaultHeaders: false });
  client.on('error', fail);
  client.once('upgrade', (_response, connection) => {
    fail(new Error('it switched protocols without being asked to'));
    connection.destroy();
  });
  client.once('response', (response) => {
    replay.answer = response;
    told = true;
    const { promise: trailers, resolve } = Promise.withResolvers<HeaderList>();
    response.once('end', () => resolve(pairs(response.rawTrailers)));
    call.answered({
      status: response.statusCode ?? 0,
      headers: pairs(response.rawHeaders),
      body: response,
      trailers,
    });
  });
  client.end();
}

/** Of HTTP/1.1, with an end of its own, and not to be closed. */
function keepsAlive({ httpVersionMinor, headers, statusCode = 0 }: IncomingMessage): boolean {
  if (httpVersionMinor !== 1 || /\bclose\b/i.test(headers.connection ?? '')) return false;
  const hasEnd = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  return hasEnd || statusCode === 204 || statusCode === 304;
}
