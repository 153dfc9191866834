import type { Dispatcher } from 'undici';
import type { HeaderList } from '../../../../src/executors/executor.ts';
import type { GuestBodySource } from '../../engine.ts';
import type { BodyWriter } from '../body-writer.ts';
import type { Disarm } from '../readiness.ts';
import { err, ok, type Result } from '../result.ts';
import type { GuestState } from '../state.ts';
import { errorCodeOf, OutboundFailure, type ErrorCode } from './error-codes.ts';
import { weightOfText } from './fields.ts';
import type { ReceivedResponse } from './incoming.ts';
import { RequestBody } from './request-body.ts';

/** Milliseconds. */
export interface ExchangeTimeouts {
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly betweenBytesMs: number;
}

type Outcome = Result<ReceivedResponse, ErrorCode>;

/**
 * One outbound request, from undici's events to what a guest can read. The body is read as the guest reads:
 * undici is paused while a chunk waits. Ends with the invocation.
 */
export class Exchange implements Dispatcher.DispatchHandler, GuestBodySource {
  readonly body: RequestBody | null;
  readonly #state: GuestState;
  readonly #writer: BodyWriter | null;
  readonly #timeouts: ExchangeTimeouts;
  readonly #onOutcome: (outcome: Outcome) => void;
  readonly #forgetEnd: Disarm;
  readonly #chunks: Uint8Array[] = [];
  #controller: Dispatcher.DispatchController | null = null;
  #phase: 'waiting' | 'receiving' | 'ended' | 'failed' = 'waiting';
  #error: Error | null = null;
  #trailers: HeaderList = [];
  #timer: NodeJS.Timeout | undefined;
  #wake: (() => void) | null = null;

  constructor(
    state: GuestState,
    writer: BodyWriter | null,
    timeouts: ExchangeTimeouts,
    onOutcome: (outcome: Outcome) => void,
  ) {
    this.#state = state;
    this.#writer = writer;
    this.#timeouts = timeouts;
    this.#onOutcome = onOutcome;
    this.body = writer
      ? new RequestBody(({ httpErrorCode, message }) =>
          this.abort(new OutboundFailure(httpErrorCode ?? { tag: 'HTTP-protocol-error' }, message)),
        )
      : null;
    state.countOutbound(1);
    this.#startTimer(timeouts.connectMs, 'connection-timeout', 'connecting');
    this.#forgetEnd = state.onEnd(() => this.cancel());
  }

  // undici's events

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#error) {
      controller.abort(this.#error);
      return;
    }
    this.#startTimer(this.#timeouts.firstByteMs, 'HTTP-response-timeout', 'waiting for the response');
    if (this.body) this.#writer?.attach(this.body);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200 || this.#phase !== 'waiting') return;
    clearTimeout(this.#timer);
    const headers = rawPairs(controller.rawHeaders);
    const heldBytes = weightOfText(headers);
    if (!this.#state.tryHold(heldBytes)) {
      const code = { tag: 'HTTP-response-header-section-size', val: undefined } as const;
      this.abort(new OutboundFailure(code, 'the function holds too much to take another response'));
      return;
    }
    this.#phase = 'receiving';
    this.#onOutcome(ok({ status, headers, body: this, heldBytes }));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // undici flushes its parser with nothing when it resumes; to pause for that would go on for ever.
    if (this.#phase !== 'receiving' || chunk.byteLength === 0) return;
    this.#chunks.push(chunk);
    controller.pause();
    this.#notify();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#phase !== 'receiving') return;
    this.#trailers = rawPairs(controller.rawTrailers);
    this.#phase = 'ended';
    this.#over();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#fail(error);
  }

  // GuestBodySource

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) return chunk;
      if (this.#error) throw this.#error;
      if (this.#phase === 'ended') return null;
      this.#startTimer(this.#timeouts.betweenBytesMs, 'connection-read-timeout', 'waiting for the body');
      const arrived = new Promise<void>((resolve) => (this.#wake = resolve));
      // May deliver what undici holds, or the end, before it returns.
      this.#controller?.resume();
      await arrived;
      clearTimeout(this.#timer);
    }
  }

  async trailers(): Promise<HeaderList> {
    return Promise.resolve(this.#trailers);
  }

  /** Nobody wants the rest. */
  cancel(): void {
    this.#chunks.length = 0;
    this.abort(new OutboundFailure({ tag: 'connection-terminated' }, 'the request is no longer wanted'));
  }

  /** Ends the exchange with this failure, wherever it is. */
  abort(error: Error): void {
    if (this.#phase === 'ended' || this.#phase === 'failed') return;
    this.#fail(error);
    this.#controller?.abort(error);
  }

  #fail(error: Error): void {
    if (this.#phase === 'ended' || this.#phase === 'failed') return;
    const waiting = this.#phase === 'waiting';
    this.#phase = 'failed';
    this.#error = error;
    this.#over();
    if (waiting) this.#onOutcome(err(errorCodeOf(error)));
  }

  #over(): void {
    clearTimeout(this.#timer);
    this.#forgetEnd();
    this.#state.countOutbound(-1);
    // A server may answer without reading the request to its end.
    this.#writer?.close();
    this.body?.stop();
    this.#notify();
  }

  #startTimer(
    timeoutMs: number,
    tag: 'connection-timeout' | 'HTTP-response-timeout' | 'connection-read-timeout',
    doing: string,
  ): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.abort(new OutboundFailure({ tag }, `timed out after ${timeoutMs} ms ${doing}`)),
      timeoutMs,
    );
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

/** undici's raw headers: names and values by turns, as bytes. */
function rawPairs(raw: Dispatcher.DispatchController['rawHeaders']): HeaderList {
  if (!Array.isArray(raw)) return [];
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    pairs.push([latin1(raw[index]), latin1(raw[index + 1])]);
  }
  return pairs;
}

function latin1(text: string | Uint8Array | undefined): string {
  return text instanceof Uint8Array ? Buffer.from(text).toString('latin1') : (text ?? '');
}
