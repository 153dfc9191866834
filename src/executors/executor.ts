import type { Readable } from 'node:stream';

/** Header names as received (lower case on the way in) with their values, in order, repeats kept. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** What one call took; durations in milliseconds. */
export interface InvokeReceipt {
  /** From the executor's being asked to the function's being there and its guest's turn. */
  readonly queueMs: number;
  /** Waiting for the function itself: compiling, linking. */
  readonly specialiseMs: number;
  /** Making the instance; 0 where one was there. */
  readonly instantiateMs: number;
  readonly guestMs: number;
  readonly hostMs: number;
  readonly waitingMs: number;
  readonly peakMemoryBytes: number;
  /** What the call found: see `EngineReceipt` in `runtimes/wasm/engine.ts`. */
  readonly instance: 'ready' | 'new' | 'reused';
}

/** As much of an AbortSignal as a call needs; making one of these costs a request far less. */
export interface CallSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Is told where a call has to wait for its function to be started, which has a time of its own. */
export interface StartClock {
  starting(withinMs: number): void;
  started(): void;
}

/** One call of a function, whatever triggered it. */
export interface InvokeRequest {
  /** Names the call in logs, receipts and answers (`X-Fission-Request-ID`). */
  readonly id: string;
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** The Host header as the client sent it; what the guest sees as the authority. */
  readonly authority: string;
  /** Path and query as the guest is to see them (the route's prefix already stripped). */
  readonly pathWithQuery: string;
  readonly headers: HeaderList;
  /**
   * The request body: bytes where all of it is there already, else a stream that is read only as fast as the guest
   * reads; null where the message has none.
   */
  readonly body: Readable | Uint8Array | null;
  /**
   * To be called, once, with each chunk of a streamed body that nobody reads any more: its memory is given back at once,
   * and whoever still looks at it finds nothing. Where it is absent, or not called, the collector does it.
   */
  readonly release?: (chunk: Uint8Array) => void;
  /**
   * The protocol in which the client asks to go on, as its Upgrade header says. Answered with 101, `body` is what the
   * client sends on the connection from then on, and the answer's body what the function sends. Only for an Invoker
   * that takes upgrades.
   */
  readonly upgrade?: string;
  /** Trailers that arrived after the body; resolves once `body` has ended. */
  readonly trailers?: Promise<HeaderList>;
  /** Aborted when nobody waits for the answer any more: client gone, deadline, shutdown. */
  readonly signal: CallSignal;
  readonly clock?: StartClock;
  /**
   * Asks for a receipt: called once, when the guest is gone; with null where there is none to give. Absent, nothing
   * is measured.
   */
  readonly onReceipt?: (receipt: InvokeReceipt | null) => void;
}

/** The answer's head, with its body still to come. */
export interface InvokeResponse {
  readonly status: number;
  readonly headers: HeaderList;
  /**
   * The body: bytes where all of it is there already, else a stream. That is destroyed with a FissiumError when
   * the guest fails after its head: then the client's connection must be destroyed as well, never ended cleanly.
   */
  readonly body: Readable | Uint8Array;
  /** The trailers the guest sent, once `body` has ended; empty where there are none. */
  readonly trailers: HeaderList | Promise<HeaderList>;
  /**
   * To be called, once, with each chunk of the body (or the whole of it) that nobody reads any more, the kernel
   * included: its memory is used again. Where it is absent, or not called, nothing is.
   */
  readonly release?: (chunk: Uint8Array) => void;
  /** Whether an instance had to be made for this call, for metrics and the receipt. */
  readonly coldStart: boolean;
  /** Of an upgraded connection: resolves when both directions have ended. */
  readonly closed?: Promise<void>;
}

/** An answer whose body streams, whatever its length. */
export interface StreamedResponse extends InvokeResponse {
  readonly body: Readable;
  readonly trailers: Promise<HeaderList>;
}

/**
 * Runs one function's calls. The router holds one for each function that is ready; what is behind it
 * (an instance in a worker thread, a pod) is the executor's business.
 */
export interface Invoker {
  /** What listener threads run it as themselves; null or absent where only `invoke` reaches it. */
  readonly threadKey?: string | null;
  /** Whether its function may be asked to go on in another protocol. @default false */
  readonly upgrades?: boolean;
  /** Rejects with a FissiumError when the guest fails before its head. Never retries what has begun. */
  invoke(request: InvokeRequest): Promise<InvokeResponse>;
  /**
   * The same for callers that are told instead of awaiting: before this returns, where the answer is there at once.
   * Where it is absent, `invoke` is all there is.
   */
  start?(request: InvokeRequest, receiver: AnswerReceiver): void;
}

/** Is told once how a call began to end. Neither may throw: guest code may be on the stack. */
export interface AnswerReceiver {
  answered(response: InvokeResponse): void;
  /** What `invoke` would reject with. */
  failed(thrown: unknown): void;
}
