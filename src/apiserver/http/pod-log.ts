/** `pods/{name}/log`: a function's log, as the text that kubectl prints. */
import { request as httpRequest } from 'node:http';
import { pipeline } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { isRecord, type KubeObject } from '../object.ts';
import { ApiError, badRequest } from '../status.ts';
import { functionOfPod } from '../views/kinds.ts';
import type { PlatformFacts } from '../views/view.ts';
import { sendText, type Exchange } from './respond.ts';

/** What the platform's own Pods have to say. */
const PLATFORM_LOG =
  'This part of the platform runs in its one process, which writes its log to standard error: see the terminal or the service manager that started it.\n';

interface LogOptions {
  readonly timestamps: boolean;
  readonly limitBytes: number;
  /** For the internal listener's /v1/logs. */
  readonly search: URLSearchParams;
}

/** Answers with the log. Fails with 400 for parameters or a container that there is none of, 503 before the platform listens. */
export async function answerPodLog(exchange: Exchange, pod: KubeObject, facts: PlatformFacts): Promise<void> {
  const options = logOptions(exchange.query);
  checkContainer(pod, exchange.query.get('container') ?? '');
  const fn = functionOfPod(pod);
  if (fn === undefined) {
    sendText(exchange, 200, CONTENT_TYPE, PLATFORM_LOG);
    return;
  }
  const base = facts.upstreams['router-internal'];
  if (base === undefined) throw unavailable('the platform does not listen yet');
  const path = `/v1/logs/${encodeURIComponent(fn.namespace)}/${encodeURIComponent(fn.name)}`;
  const url = new URL(`${path}?${options.search}`, base);
  const headers = facts.signInternal?.('GET', url.pathname + url.search) ?? {};
  await sendLines(exchange, url, headers, options);
}

function logOptions(query: URLSearchParams): LogOptions {
  const isSet = (name: string): boolean => ['true', '1', ''].includes(query.get(name) ?? 'false');
  if (isSet('previous'))
    throw badRequest('previous terminated container not found: functions have no earlier one');
  const search = new URLSearchParams();
  const tail = wholeNumber(query, 'tailLines');
  if (tail !== undefined) search.set('tail', String(tail));
  const seconds = wholeNumber(query, 'sinceSeconds');
  const since = query.get('sinceTime') ?? '';
  if (seconds !== undefined && since !== '') {
    throw badRequest('at most one of `sinceTime` or `sinceSeconds` may be specified');
  }
  if (seconds !== undefined) search.set('since', String(Date.now() - seconds * 1000));
  if (since !== '') {
    const sinceMs = Date.parse(since);
    if (Number.isNaN(sinceMs))
      throw badRequest(`sinceTime must be a time as in RFC 3339, not ${JSON.stringify(since)}`);
    search.set('since', String(Math.max(0, sinceMs)));
  }
  if (isSet('follow')) search.set('follow', '1');
  return {
    timestamps: isSet('timestamps'),
    limitBytes: wholeNumber(query, 'limitBytes') ?? Number.POSITIVE_INFINITY,
    search,
  };
}

function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? '';
  if (text === '') return undefined;
  if (!/^\d{1,12}$/.test(text))
    throw badRequest(`${name} must be a whole number from 0 on, not ${JSON.stringify(text)}`);
  return Number(text);
}

function checkContainer(pod: KubeObject, wanted: string): void {
  const spec = isRecord(pod['spec']) ? pod['spec'] : {};
  const list: unknown[] = Array.isArray(spec['containers']) ? spec['containers'] : [];
  const names = list.map((each) => (isRecord(each) ? each['name'] : undefined));
  if (wanted === '' || names.includes(wanted)) return;
  throw badRequest(
    `container ${wanted} is not valid for pod ${pod.metadata.name}; it has ${names.join(', ')}`,
  );
}

/** Lines of the log as they come, until there are no more, the limit is reached or the client goes. */
function sendLines(
  exchange: Exchange,
  url: URL,
  headers: Readonly<Record<string, string>>,
  options: LogOptions,
): Promise<void> {
  const { response } = exchange;
  return new Promise((resolve, reject) => {
    const upstream = httpRequest(url, { agent: false, headers });
    const gone = (): void => {
      upstream.destroy();
      resolve();
    };
    response.once('close', gone);
    // Behind the head of an answer the stream below says what became of it.
    upstream.on('error', (error) => reject(unavailable(`the log cannot be read: ${error.message}`)));
    upstream.once('response', (answer) => {
      if (answer.statusCode !== 200 || exchange.method === 'HEAD') {
        answer.resume();
        if (answer.statusCode === 200) sendText(exchange, 200, CONTENT_TYPE, '');
        else reject(unavailable(`the log cannot be read: the platform answered ${answer.statusCode}`));
        return;
      }
      response.writeHead(200, { 'Content-Type': CONTENT_TYPE, 'Cache-Control': 'no-store' });
      response.flushHeaders();
      // A log that breaks off leaves the connection cut, which the client can tell from an end.
      pipeline(
        answer,
        (encoded: AsyncIterable<Buffer>) => textOf(encoded, options),
        response,
        () => gone(),
      );
    });
    upstream.end();
  });
}

const CONTENT_TYPE = 'text/plain; charset=utf-8';

/** NDJSON in, lines out. */
async function* textOf(
  encoded: AsyncIterable<Buffer>,
  { timestamps, limitBytes }: LogOptions,
): AsyncGenerator<Buffer> {
  const decoder = new StringDecoder('utf8');
  let left = limitBytes;
  let rest = '';
  for await (const chunk of encoded) {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    const text = lines.map((line) => lineText(line, timestamps)).join('');
    const part = Buffer.from(text).subarray(0, left);
    left -= part.length;
    yield part;
    if (left <= 0) return;
  }
}

function lineText(encoded: string, timestamps: boolean): string {
  const { time, line } = JSON.parse(encoded) as { time: string; line: string };
  return timestamps ? `${time} ${line}\n` : `${line}\n`;
}

const unavailable = (why: string): ApiError => new ApiError(503, 'ServiceUnavailable', why);
