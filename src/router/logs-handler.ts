/** `GET /v1/logs/{namespace}/{function}`: a function's log as NDJSON. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { FissiumError } from '../errors.ts';
import { checkLogName, type LogLine, type LogQuery, type LogStore } from '../observe/index.ts';

/**
 * Query parameters: `tail` (lines, default all), `since` (milliseconds since 1970, or RFC 3339), `requestId`, and
 * `follow` (`1` or `true`: the answer goes on with new lines until the client goes).
 *
 * Each line of the answer is `{"time": RFC 3339, "requestId", "stream", "line"}`.
 */
export async function answerLogs(
  logs: LogStore,
  name: { readonly namespace: string; readonly function: string },
  search: URLSearchParams,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  checkLogName('namespace', name.namespace);
  checkLogName('function', name.function);
  const query: LogQuery = { ...name, ...parseQuery(search) };
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  const follow = ['1', 'true', ''].includes(search.get('follow') ?? 'false');
  const lines = follow ? logs.follow(query, gone.signal) : await logs.read(query);
  res.writeHead(200, { 'Content-Type': 'application/x-ndjson; charset=utf-8', 'Cache-Control': 'no-store' });
  if (req.method !== 'HEAD') {
    res.flushHeaders();
    for await (const line of lines) await write(res, line, gone.signal);
  }
  res.end();
}

async function write(res: ServerResponse, line: LogLine, gone: AbortSignal): Promise<void> {
  const { timeMs, requestId, stream, line: text } = line;
  const encoded = JSON.stringify({ time: new Date(timeMs).toISOString(), requestId, stream, line: text });
  if (gone.aborted || res.write(`${encoded}\n`)) return;
  await once(res, 'drain', { signal: gone }).catch(() => undefined);
}

function parseQuery(search: URLSearchParams): Pick<LogQuery, 'tail' | 'sinceMs' | 'requestId'> {
  const tail = search.get('tail');
  const since = search.get('since');
  const requestId = search.get('requestId');
  if (tail !== null && !/^\d{1,9}$/.test(tail)) {
    throw new FissiumError('BAD_REQUEST', `tail=${tail} is no number of lines; give one from 0 on.`);
  }
  const sinceMs = since === null ? undefined : /^\d+$/.test(since) ? Number(since) : Date.parse(since);
  if (sinceMs !== undefined && Number.isNaN(sinceMs)) {
    throw new FissiumError(
      'BAD_REQUEST',
      `since=${since} is no time; give milliseconds since 1970 or one like 2026-01-31T12:00:00Z.`,
    );
  }
  return {
    ...(tail === null ? {} : { tail: Number(tail) }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(requestId === null ? {} : { requestId }),
  };
}
