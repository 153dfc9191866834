import type { Readable } from 'node:stream';

/** Header names as received (lower case on the way in) with their values, in order, repeats kept. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

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
  /** The request body, or null where the message has none. Read only as fast as the guest reads. */
  readonly body: Readable | null;
  /** Trailers that arrived after the body; resolves once `body` has ended. */
  readonly trailers?: Promise<HeaderList>;
  /** Aborted when nobody waits for the answer any more: client gone, deadline, shutdown. */
  readonly signal: AbortSignal;
}

/** The answer's head, with its body still to come. */
export interface InvokeResponse {
  readonly status: number;
  readonly headers: HeaderList;
  /**
   * The body. Destroyed with a FissiumError when the guest fails after its head: then the client's
   * connection must be destroyed as well, never ended cleanly.
   */
  readonly body: Readable;
  /** The trailers the guest sent; resolves when `body` has ended, empty where there are none. */
  readonly trailers: Promise<HeaderList>;
  /** Whether an instance had to be made for this call, for metrics and the receipt. */
  readonly coldStart: boolean;
}

/**
 * Runs one function's calls. The router holds one for each function that is ready; what is behind it
 * (an instance in a worker thread, a pod) is the executor's business.
 */
export interface Invoker {
  /** Rejects with a FissiumError when the guest fails before its head. Never retries what has begun. */
  invoke(request: InvokeRequest): Promise<InvokeResponse>;
}
