import type { HeaderList } from '../../../../src/executors/executor.ts';
import { FissiumError } from '../../../../src/errors.ts';
import type { BodyTarget, BodyWriter } from '../body-writer.ts';
import type { StreamFailure } from '../io-error.ts';
import { ERROR_MESSAGE_CHARS_CAP } from '../limits.ts';
import type { GuestState } from '../state.ts';
import { describeErrorCode, type ErrorCode } from './error-codes.ts';

/** The guest's answer to the request, from nothing to its end, and what is wrong with it. */
export class Answer implements BodyTarget {
  readonly #state: GuestState;
  #errorCode: ErrorCode | null = null;
  #headSent = false;
  #ended = false;
  #failure: FissiumError | null = null;
  #body: BodyWriter | null = null;
  #settled: (() => void) | null = null;

  constructor(state: GuestState) {
    this.#state = state;
  }

  get headSent(): boolean {
    return this.#headSent;
  }

  /** The whole answer has been given to the sink. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Nothing is left to be said: the answer is there, and good. */
  get whole(): boolean {
    return this.#ended && this.#failure === null;
  }

  get errorCode(): ErrorCode | null {
    return this.#errorCode;
  }

  get failure(): FissiumError | null {
    return this.#failure;
  }

  /** The guest answered. @param body null where it never asked for one: the answer is complete. */
  send(status: number, headers: HeaderList, body: BodyWriter | null): void {
    this.#state.context.response.head(status, headers);
    this.#headSent = true;
    this.#body = body;
    if (body) body.attach(this);
    else this.end([]);
  }

  /** The guest gave an error-code instead of an answer. */
  refuse(code: ErrorCode): void {
    this.#errorCode = code;
    const message = describeErrorCode(code).slice(0, ERROR_MESSAGE_CHARS_CAP);
    this.#fail(new FissiumError('GUEST_ERROR_CODE', `the function answered with the error ${message}`));
  }

  /** The guest gave an answer that cannot be sent. */
  reject(message: string): void {
    this.#fail(new FissiumError('GUEST_BAD_RESPONSE', message));
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    return this.#state.context.response.write(chunk);
  }

  end(trailers: HeaderList): void {
    this.#ended = true;
    this.#state.context.response.end(trailers);
    this.#settled?.();
  }

  abort({ message }: StreamFailure): void {
    this.reject(`the function's answer broke off: ${message}`);
  }

  /**
   * After the guest returned: waits until what it wrote has been taken; undefined where all of it is already.
   * Throws or rejects if there is no whole answer.
   */
  finish(): Promise<void> | undefined {
    if (!this.#failure && !this.#headSent) {
      this.#fail(new FissiumError('GUEST_NO_RESPONSE', 'the function returned without an answer'));
    }
    if (this.#body?.status === 'open') {
      this.#body.break({ message: 'it returned before it finished the body' });
    }
    if (!this.#ended && !this.#failure) return this.#wait();
    if (this.#failure) throw this.#failure;
    return undefined;
  }

  async #wait(): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#settled = done.resolve;
    const forget = this.#state.onEnd(done.resolve);
    await done.promise;
    forget();
    if (this.#failure) throw this.#failure;
  }

  #fail(failure: FissiumError): void {
    this.#failure ??= failure;
    this.#settled?.();
  }
}
