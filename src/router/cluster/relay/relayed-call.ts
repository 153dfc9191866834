/** One call over a line: until its answer, its failure, or the end of whoever waits for it. */
import { Readable } from 'node:stream';
import type { InvokeRequest, InvokeResponse } from '../../../executors/executor.ts';
import type { Line, LineCall } from './line.ts';
import type { Lines } from './lines.ts';
import { requestHead } from './request-head.ts';

/** A call whose body is there, or that has none, and whose connection stays what it is. */
export interface RelayedRequest extends InvokeRequest {
  readonly body: Uint8Array | null;
  readonly upgrade?: undefined;
}

export function isRelayable(request: InvokeRequest): request is RelayedRequest {
  return !(request.body instanceof Readable) && request.upgrade === undefined;
}

/**
 * Told of the first two one, once, unless the call's signal aborts first; and of the third, once and in any case: after
 * a failure, and before an answer that is whole.
 */
export interface RelayHandlers {
  answered(response: Omit<InvokeResponse, 'coldStart'>): void;
  /** @param sent whether any byte of the request may have gone out */
  failed(cause: Error, sent: boolean): void;
  /** The pod is done with the call, or has lost its connection. */
  done(): void;
}

export class RelayedCall implements LineCall {
  readonly method: string;
  readonly #request: RelayedRequest;
  readonly #handlers: RelayHandlers;
  #line: Line | null = null;
  #isTold = false;
  #isDone = false;

  /**
   * The head of the request as it goes out; null where it holds what no head may have.
   * @param sign headers that show who sends it
   */
  static headOf(
    request: RelayedRequest,
    target: string,
    sign?: (method: string, uri: string) => Readonly<Record<string, string>>,
  ): string | null {
    const { method, authority, id: requestId, body } = request;
    const headers =
      sign === undefined ? request.headers : [...request.headers, ...Object.entries(sign(method, target))];
    const bodyBytes = body === null ? null : body.byteLength;
    return requestHead({ method, target, authority, headers, requestId, bodyBytes });
  }

  constructor(request: RelayedRequest, handlers: RelayHandlers) {
    this.method = request.method;
    this.#request = request;
    this.#handlers = handlers;
  }

  /** @returns whether it is on its way; if not, nothing was sent and nobody is told */
  send(lines: Lines, head: string): boolean {
    const { signal, body } = this.#request;
    if (signal.aborted) return false;
    this.#line = lines.send(this, head, body);
    if (this.#line === null) return false;
    signal.addEventListener('abort', this.#onAbort, { once: true });
    return true;
  }

  answered(response: Omit<InvokeResponse, 'coldStart'>): void {
    if (this.#isTold) {
      if (response.body instanceof Readable) response.body.on('error', () => undefined).destroy();
      return;
    }
    this.#tell();
    this.#handlers.answered(response);
  }

  failed(cause: Error, sent: boolean): void {
    if (this.#isTold) return;
    this.#tell();
    this.#handlers.failed(cause, sent);
  }

  done(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#handlers.done();
  }

  #tell(): void {
    this.#isTold = true;
    this.#request.signal.removeEventListener('abort', this.#onAbort);
  }

  /** A call that nobody waits for must not keep its place. */
  readonly #onAbort = (): void => {
    this.#isTold = true;
    this.#line?.cancel();
  };
}
