/** One call by HTTP whose connection goes on in another protocol (RFC 9110 section 7.8). */
import { type Duplex, Readable } from 'node:stream';

import type { Dispatcher } from 'undici';

import { FissiumError } from '../errors.ts';
import type { InvokeRequest, InvokeResponse } from './executor.ts';
import { headersFor, pairs, type ProxiedCall, type ProxyOptions, type ProxyTarget } from './http-target.ts';
import { UpgradedStream } from './upgraded-stream.ts';

/** For how long a client that was told of the end may take for its part of it. */
const LEAVING_MS = 5_000;

/**
 * Asks for the upgrade. Answered with 101, what the function sends is the answer's body, and what the request's body
 * gives goes to the function; each direction ends by itself. Any other answer is one like others.
 */
export function proxyUpgrade(
  target: ProxyTarget,
  request: InvokeRequest,
  protocol: string,
  options: ProxyOptions,
): ProxiedCall {
  const call = new UpgradingCall(target, request, protocol, options.coldStart);
  const path = (options.pathPrefix ?? '') + request.pathWithQuery;
  target.pool.dispatch(
    {
      path,
      method: request.method as Dispatcher.HttpMethod,
      headers: headersFor(target, request, path),
      upgrade: protocol,
    },
    call,
  );
  return call;
}

class UpgradingCall implements ProxiedCall, Dispatcher.DispatchHandler {
  readonly response: Promise<InvokeResponse>;
  readonly done: Promise<void>;
  readonly #target: ProxyTarget;
  readonly #request: InvokeRequest;
  readonly #coldStart: boolean;
  readonly #stream: UpgradedStream;
  readonly #resolve: (response: InvokeResponse) => void;
  readonly #reject: (error: unknown) => void;
  readonly #finish: () => void;
  #controller: Dispatcher.DispatchController | null = null;
  #socket: Duplex | null = null;
  /** Of an answer that is no upgrade. */
  #body: Readable | null = null;
  #isOver = false;
  #cancelled = false;

  constructor(target: ProxyTarget, request: InvokeRequest, protocol: string, coldStart: boolean) {
    this.#target = target;
    this.#request = request;
    this.#coldStart = coldStart;
    this.#stream = new UpgradedStream(protocol);
    const answer = Promise.withResolvers<InvokeResponse>();
    this.response = answer.promise;
    this.#resolve = answer.resolve;
    this.#reject = answer.reject;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#finish = () => {
      this.#isOver = true;
      request.signal.removeEventListener('abort', this.#onAbort);
      resolve();
    };
    request.signal.addEventListener('abort', this.#onAbort, { once: true });
    if (request.signal.aborted) this.#onAbort();
  }

  readonly cancel = (): void => {
    this.#cancelled = true;
    if (!this.#isOver) this.#controller?.abort(new Error('The call was broken off.'));
    this.#socket?.destroy();
  };

  readonly goAway = (): void => {
    if (this.#isOver) return;
    this.#stream.goAway();
    // The client's answer goes on to the function, which then knows of the end as well.
    setTimeout(this.cancel, LEAVING_MS).unref();
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#cancelled) controller.abort(new Error('The call was broken off.'));
  }

  onRequestUpgrade(
    { rawHeaders }: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    socket: Duplex,
  ): void {
    this.#socket = socket;
    const stream = this.#stream;
    // Each direction ends for itself.
    socket.allowHalfOpen = true;
    socket.on('error', (cause) => stream.destroy(cause));
    socket.once('close', () => {
      this.#finish();
      if (!stream.writableEnded) stream.destroy(new Error('The connection was closed.'));
    });
    stream.on('error', () => undefined);
    // Where nobody reads it to its end, nobody wants the connection.
    stream.once('close', () => {
      if (!stream.readableEnded) socket.destroy();
    });
    socket.pipe(stream);
    this.#sendTo(socket);
    this.#resolve({ ...this.#head(status, rawHeaders), body: stream, trailers: [], closed: this.done });
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    let ended = false;
    const body = new Readable({
      read: () => controller.resume(),
      destroy: (error, callback) => {
        if (!ended && !this.#isOver) controller.abort(error ?? new Error('Nobody reads the answer.'));
        callback(error);
      },
    });
    body.once('end', () => (ended = true)).on('error', () => undefined);
    this.#body = body;
    this.#resolve({ ...this.#head(status, controller.rawHeaders), body, trailers: Promise.resolve([]) });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#body?.push(chunk) === false) controller.pause();
  }

  onResponseEnd(): void {
    this.#finish();
    this.#body?.push(null);
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error): void {
    this.#finish();
    const body = this.#body;
    if (this.#cancelled) {
      const error = new FissiumError('CLIENT_GONE', 'The call was broken off.');
      this.#reject(error);
      body?.destroy(error);
      return;
    }
    this.#target.failure(cause).then(
      (failure) => {
        this.#reject(Object.assign(failure, { cause }));
        body?.destroy(failure);
      },
      (error: unknown) => this.#reject(error),
    );
  }

  #sendTo(socket: Duplex): void {
    const { body } = this.#request;
    if (!(body instanceof Readable)) return;
    body.pipe(socket);
    const broken = (): void => {
      if (!body.readableEnded) socket.destroy();
    };
    body.once('error', broken);
    body.once('close', broken);
  }

  #head(
    status: number,
    raw: Dispatcher.DispatchController['rawHeaders'],
  ): Pick<InvokeResponse, 'status' | 'headers' | 'coldStart'> {
    const list = Array.isArray(raw) ? raw.map((part) => part.toString('latin1')) : [];
    return { status, headers: pairs(list), coldStart: this.#coldStart };
  }

  readonly #onAbort = (): void => {
    this.#reject(this.#request.signal.reason);
    this.cancel();
  };
}
