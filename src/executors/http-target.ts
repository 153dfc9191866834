/** Calls by HTTP: who is called, and what of a request goes there. */
import type { Dispatcher } from 'undici';

import type { FissiumError } from '../errors.ts';
import type { InvokeRequest, InvokeResponse } from './executor.ts';

/** Who is called. */
export interface ProxyTarget {
  readonly pool: Dispatcher;
  /** What to say of a call that it did not answer, or not to its end. */
  failure(cause: unknown): Promise<FissiumError>;
  /** Headers that show who sends a request of this method, path and query. @default none */
  readonly sign?: (method: string, uri: string) => Readonly<Record<string, string>>;
}

export interface ProxyOptions {
  /** Whether the target was made for this call. */
  readonly coldStart: boolean;
  /** Put before the request's path. @default '' */
  readonly pathPrefix?: string;
}

export interface ProxiedCall {
  /** The answer; rejects with a FissiumError, or the signal's reason when it aborts before the head. */
  readonly response: Promise<InvokeResponse>;
  /** Resolves when the target is done with the call, also where nobody waits for it any more. */
  readonly done: Promise<void>;
  /** Breaks the call off. */
  readonly cancel: () => void;
  /** Ends a connection that was upgraded, as its client understands; calls like others go on. */
  readonly goAway: () => void;
}

/** Names and values by turns, those that show who sends it with them. @param path path and query as they go out */
export function headersFor(
  { sign }: ProxyTarget,
  { method, headers, authority, id }: InvokeRequest,
  path: string,
): string[] {
  const flat = ['host', authority === '' ? 'localhost' : authority];
  let hasId = false;
  for (const [name, value] of headers) {
    if (name === 'host') continue;
    if (name === 'x-fission-request-id') hasId = true;
    flat.push(name, value);
  }
  if (!hasId) flat.push('x-fission-request-id', id);
  if (sign) flat.push(...Object.entries(sign(method, path)).flat());
  return flat;
}

export function pairs(raw: readonly string[]): [name: string, value: string][] {
  const list: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) list.push([String(raw[at]), String(raw[at + 1])]);
  return list;
}
