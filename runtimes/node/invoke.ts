/** Calls the function in each of Fission's forms and sends what it answers. */
import { Readable } from 'node:stream';

import { logError } from './logs.ts';
import type { FunctionRequest } from './request.ts';
import type { FunctionResponse } from './response.ts';
import type { UserFunction } from './user-code.ts';

type Fields = Readonly<Record<string, string | number | readonly string[]>>;

interface Answer {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Fields;
}

/** Resolves when the function has answered or has taken the response into its own hands; never rejects. */
export async function invoke(
  fn: UserFunction,
  request: FunctionRequest,
  response: FunctionResponse,
): Promise<void> {
  const context = { request, response };
  try {
    if (fn.length > 1) {
      fn(context, (status?: number, body?: unknown, headers?: Fields) => {
        // Fission's: no status, no answer.
        if (status === undefined || status === 0) return;
        answer(response, { status, body, ...(headers === undefined ? {} : { headers }) }).catch(
          (error: unknown) => failed(response, error),
        );
      });
      return;
    }
    const result: unknown = await fn(context);
    if (response.headersSent || response.writableEnded || result === undefined || result === null) {
      // It answers by `context.response`, now or later.
      return;
    }
    await answer(response, asAnswer(result));
  } catch (error) {
    failed(response, error);
  }
}

/** The call ends with 500, or with a broken connection where its answer has begun. */
export function failed(response: FunctionResponse, error: unknown): void {
  if (response.destroyed && !response.writableFinished) return;
  logError('Function error', error);
  if (response.headersSent) response.destroy();
  else {
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    response.status(500).type('text').send('Internal server error');
  }
}

/** `{status, body, headers}` as Fission has it; anything else is the body itself. */
function asAnswer(result: unknown): Answer {
  const isAnswer =
    typeof result === 'object' &&
    result !== null &&
    ['status', 'body', 'headers'].some((name) => name in result);
  if (isAnswer && !(result instanceof Readable)) return result as Answer;
  return { status: 200, body: result };
}

async function answer(response: FunctionResponse, { status, body, headers }: Answer): Promise<void> {
  if (headers !== undefined) response.set(headers);
  response.status(status ?? 200);
  if (body instanceof Readable || body instanceof ReadableStream || isAsyncIterable(body)) {
    await response.sendStream(body);
  } else response.send(body);
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
