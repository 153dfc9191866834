/** What functions write, with the request it belongs to. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { writeSync } from 'node:fs';

import type { FunctionResponse } from './response.ts';

export interface CallScope {
  readonly requestId: string;
  readonly response: FunctionResponse;
}

/** The call that code runs for. */
export const callScope = new AsyncLocalStorage<CallScope>();

/** Around a request's id at the start of a line, for a platform that asked for it. */
const START = '\x1e';
const END = '\x1f';

/**
 * From here on each line of standard output and error begins with the id of its request, so that lines of requests
 * that run at once can be told apart. Lines are written whole.
 */
export function markLines(): void {
  for (const [stream, descriptor] of [
    [process.stdout, 1],
    [process.stderr, 2],
  ] as const) {
    const partial = new Map<string, string>();
    stream.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
      const key = callScope.getStore()?.requestId ?? '';
      const text =
        (partial.get(key) ?? '') + (typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
      const lines = text.split('\n');
      const last = lines.pop() ?? '';
      if (last === '') partial.delete(key);
      else partial.set(key, last);
      const mark = key === '' ? '' : START + key + END;
      if (lines.length > 0) writeAll(descriptor, lines.map((line) => `${mark}${line}\n`).join(''));
      const done = rest.findLast((value) => typeof value === 'function') as (() => void) | undefined;
      if (done !== undefined) process.nextTick(done);
      return true;
    };
  }
}

function writeAll(descriptor: number, text: string): void {
  let bytes: Uint8Array = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(descriptor, bytes));
    } catch (error) {
      // A pipe whose reader is behind; it is local and reads all the time.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
  }
}

export function logError(text: string, error: unknown): void {
  process.stderr.write(
    `${text}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
}
