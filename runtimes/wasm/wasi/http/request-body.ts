import type { HeaderList } from '../../../../src/executors/executor.ts';
import type { BodyTarget } from '../body-writer.ts';
import type { StreamFailure } from '../io-error.ts';

/** A guest's request body on its way to undici: one chunk at a time, the next when the socket wants it. */
export class RequestBody implements BodyTarget, AsyncIterable<Uint8Array> {
  /** What follows the body; null until it has ended as it should. */
  trailers: HeaderList | null = null;
  readonly #onAbort: (failure: StreamFailure) => void;
  #chunk: Uint8Array | null = null;
  #taken: (() => void) | null = null;
  #wanted: (() => void) | null = null;
  #ended = false;

  constructor(onAbort: (failure: StreamFailure) => void) {
    this.#onAbort = onAbort;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#chunk = new Uint8Array(chunk);
    const taken = new Promise<void>((resolve) => (this.#taken = resolve));
    this.#wanted?.();
    await taken;
  }

  end(trailers: HeaderList): void {
    this.trailers = trailers;
    this.#ended = true;
    this.#wanted?.();
  }

  abort(failure: StreamFailure): void {
    this.stop();
    this.#onAbort(failure);
  }

  /** Nobody takes anything any more. */
  stop(): void {
    this.#chunk = null;
    this.#ended = true;
    this.#taken?.();
    this.#wanted?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#chunk) {
        const chunk = this.#chunk;
        this.#chunk = null;
        yield chunk;
        // undici asks again only once the socket has taken this one.
        this.#taken?.();
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wanted = resolve));
      }
    }
  }
}
