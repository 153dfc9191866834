import { Readable } from 'node:stream';
import type { InvokeRequest } from './executor.ts';

/** A request's body for those who read only streams. */
export function bodyStream(body: InvokeRequest['body']): Readable | null {
  // In a list: a Uint8Array's own items are numbers.
  return body instanceof Uint8Array ? Readable.from([body]) : body;
}
