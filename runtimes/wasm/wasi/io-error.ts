import type { FilesystemErrorCode } from './filesystem/error-code.ts';
import type { ErrorCode } from './http/error-codes.ts';
import { Resource } from './resource.ts';
import type { GuestState } from './state.ts';

/** Why a stream failed, before a guest asked: becomes an {@link IoError} when one does. */
export interface StreamFailure {
  readonly message: string;
  readonly httpErrorCode?: ErrorCode;
  readonly filesystemErrorCode?: FilesystemErrorCode;
}

/** `wasi:io/error.error`. */
export class IoError extends Resource {
  readonly #failure: StreamFailure;

  constructor(state: GuestState, failure: StreamFailure) {
    super(state, 'io-error');
    this.#failure = failure;
  }

  toDebugString(): string {
    this.state.check();
    return this.#failure.message;
  }

  /** For `wasi:http/types.http-error-code`. */
  get httpErrorCode(): ErrorCode | undefined {
    return this.#failure.httpErrorCode;
  }

  /** For `wasi:filesystem/types.filesystem-error-code`. */
  get filesystemErrorCode(): FilesystemErrorCode | undefined {
    return this.#failure.filesystemErrorCode;
  }
}

/** `wasi:io/streams.stream-error`. */
export type StreamError =
  | { readonly tag: 'closed' }
  | { readonly tag: 'last-operation-failed'; readonly val: IoError };

export const CLOSED: StreamError = { tag: 'closed' };
