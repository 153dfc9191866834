import type { IncomingMessage } from 'node:http';

import { ApiError } from './api-error.ts';
import type { KubeClient } from './client.ts';
import { type KubeObject, resourcePath, type ResourceType } from './resources.ts';

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly object: { metadata: { resourceVersion?: string } } };

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly resourceVersion: string;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** How long the server is asked to keep the watch open. */
  readonly serverTimeoutMs: number;
  /** A connection on which nothing, not even a bookmark, arrives for this long is given up. */
  readonly inactivityTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** Nothing arrived for too long: the connection may be dead. What was seen so far is good. */
export class WatchInactiveError extends Error {}

/**
 * The events after a resource version, in order. Ends when the server ends the watch. Throws ApiError when the
 * server refuses or sends an ERROR event (status 410: the version is gone, list again), WatchInactiveError, or
 * whatever broke the connection.
 */
export async function* watchEvents<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const stream = await client.openStream(
    resourcePath(type, options.namespace),
    {
      watch: 'true',
      resourceVersion: options.resourceVersion,
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(Math.ceil(options.serverTimeoutMs / 1000)),
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
    },
    options.signal,
  );
  try {
    for await (const line of lines(stream, options.inactivityTimeoutMs)) {
      const event = JSON.parse(line) as { type: string; object: T };
      if (event.type === 'ERROR') throw errorOf(event.object);
      yield event as WatchEvent<T>;
    }
  } finally {
    stream.destroy();
  }
}

function errorOf(status: unknown): ApiError {
  const { code, reason, message } = (status ?? {}) as { code?: unknown; reason?: unknown; message?: unknown };
  return new ApiError(
    typeof code === 'number' ? code : 500,
    typeof reason === 'string' ? reason : 'InternalError',
    typeof message === 'string' ? message : 'the watch was ended with an error',
  );
}

/** Lines of a stream; a last one without its line feed is half an event, and is an error. */
async function* lines(stream: IncomingMessage, inactivityTimeoutMs: number): AsyncGenerator<string> {
  const timer = setTimeout(() => {
    stream.destroy(new WatchInactiveError(`nothing arrived for ${inactivityTimeoutMs / 1000} s`));
  }, inactivityTimeoutMs);
  timer.unref();
  stream.setEncoding('utf8');
  // Pieces of an unfinished line, joined once: appending to one string would be quadratic for large objects.
  let pieces: string[] = [];
  try {
    for await (const chunk of stream as AsyncIterable<string>) {
      timer.refresh();
      let start = 0;
      for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', start)) {
        pieces.push(chunk.slice(start, end));
        const line = pieces.join('');
        pieces = [];
        start = end + 1;
        if (line.trim() !== '') yield line;
      }
      if (start < chunk.length) pieces.push(chunk.slice(start));
    }
    if (pieces.join('').trim() !== '') throw new Error('the watch broke off inside an event');
  } finally {
    clearTimeout(timer);
  }
}
