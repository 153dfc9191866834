/** The router's own answers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import { FissiumError, toErrorData, type ErrorCode } from '../errors.ts';
import { RETRY_AFTER_S } from './admission.ts';
import { REQUEST_ID_HEADER } from './headers.ts';

type Fields = readonly (readonly [name: string, value: string])[];

/** Codes whose failures pass if the client waits. */
const RETRY_LATER: ReadonlySet<ErrorCode> = new Set(['FUNCTION_BUSY', 'PLATFORM_BUSY', 'SHUTTING_DOWN']);
/** Codes after which the rest of the request is not worth reading. */
const CLOSING: ReadonlySet<ErrorCode> = new Set(['BODY_TOO_LARGE', 'SHUTTING_DOWN', 'IDLE_TIMEOUT']);

/** The failure as one of ours, whatever was thrown. */
export function toFissiumError(thrown: unknown): FissiumError {
  if (thrown instanceof FissiumError) return thrown;
  return new FissiumError('INTERNAL', toErrorData(thrown).message, { cause: thrown });
}

/** Who failed a call and how, in Fission's words (its RFC 15), which its CLI shows. */
interface Attribution {
  readonly component: 'router' | 'executor' | 'function' | 'timeout';
  readonly reason: string;
}

/**
 * Whose API and CLI this platform keeps to. Fission's CLI holds its own version against this one: 1.27 takes nothing
 * else, later ones the minor version before and after.
 */
export const FISSION_VERSION = 'v1.27.0';

const COMPONENT_HEADER = 'X-Fission-Component';

const OF_FUNCTION = { component: 'function', reason: 'function_error' } as const;
const ATTRIBUTIONS: Partial<Readonly<Record<ErrorCode, Attribution>>> = {
  FUNCTION_BUSY: { component: 'executor', reason: 'capacity_exceeded' },
  PLATFORM_BUSY: { component: 'executor', reason: 'capacity_exceeded' },
  FUNCTION_NOT_READY: { component: 'executor', reason: 'specialization_failed' },
  ENVIRONMENT_NOT_SERVED: { component: 'executor', reason: 'specialization_failed' },
  FUNCTION_FAILED: OF_FUNCTION,
  GUEST_TRAPPED: OF_FUNCTION,
  GUEST_EXITED: OF_FUNCTION,
  GUEST_NO_RESPONSE: OF_FUNCTION,
  GUEST_BAD_RESPONSE: OF_FUNCTION,
  GUEST_OUT_OF_MEMORY: OF_FUNCTION,
  GUEST_ERROR_CODE: OF_FUNCTION,
  CPU_LIMIT: { component: 'timeout', reason: 'function_timeout' },
  DEADLINE_EXCEEDED: { component: 'timeout', reason: 'function_timeout' },
  IDLE_TIMEOUT: { component: 'timeout', reason: 'stream_idle' },
  THREAD_LOST: { component: 'executor', reason: 'executor_unavailable' },
};

/** `{code, message, requestId}`, with `component` and `reason` where a call failed. What went wrong inside the platform is for its log, not for the client. */
export function errorBody(error: FissiumError, requestId: string): string {
  const message =
    error.code === 'INTERNAL'
      ? `The platform failed on this request; its log says why, under the request id ${requestId}.`
      : error.message;
  return `${JSON.stringify({ code: error.code, message, requestId, ...ATTRIBUTIONS[error.code] })}\n`;
}

/** Answers with a failure. Nothing may have been sent yet. */
export function answerError(
  req: IncomingMessage,
  res: ServerResponse,
  error: FissiumError,
  requestId: string,
  extra: Fields = [],
): void {
  const body = Buffer.from(errorBody(error, requestId));
  const fields: (readonly [string, string])[] = [
    ['Content-Type', 'application/json; charset=utf-8'],
    ['Content-Length', String(body.length)],
    ['X-Content-Type-Options', 'nosniff'],
    ['Cache-Control', 'no-store'],
    [REQUEST_ID_HEADER, requestId],
    ...extra,
  ];
  const attribution = ATTRIBUTIONS[error.code];
  if (attribution !== undefined) fields.push([COMPONENT_HEADER, attribution.component]);
  if (RETRY_LATER.has(error.code)) fields.push(['Retry-After', String(RETRY_AFTER_S)]);
  // A client that waits for "100 Continue" may or may not send its body after another answer: start afresh.
  const mayStillSend = req.headers.expect !== undefined && !req.complete;
  // Node adds the field; one of our own would not tell whoever else looks at the flag.
  if (CLOSING.has(error.code) || mayStillSend) res.shouldKeepAlive = false;
  res.writeHead(error.status, fields.flat());
  if (error.code === 'BODY_TOO_LARGE' && !mayStillSend && !req.complete) {
    res.write(body);
    lingerThenEnd(req, res);
  } else res.end(req.method === 'HEAD' ? undefined : body);
}

const LINGER_MS = 1_000;

/**
 * Ends an answer that is whole already (its length is known) only when the client has stopped sending, or has
 * had a while to read it: closing a connection on which bytes still arrive resets it, and the client may then
 * lose the answer that says why.
 */
function lingerThenEnd(req: IncomingMessage, res: ServerResponse): void {
  const end = (): void => {
    clearTimeout(timer);
    res.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  req.once('end', end);
  req.once('close', end);
  req.resume();
}

/** Answers JSON with status 200. */
export function answerJson(req: IncomingMessage, res: ServerResponse, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  res.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': body.length });
  res.end(req.method === 'HEAD' ? undefined : body);
}

/**
 * Answers `/_version` in the form of Fission's router: the Fission that this stands for, and the clock. What really
 * runs stands in `Fissium`, and for those who read no more than Fission's form, in the place of the commit.
 */
export function answerVersion(req: IncomingMessage, res: ServerResponse, version: string): void {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  answerJson(req, res, {
    Build: { Version: FISSION_VERSION, GitCommit: `fissium-${version}` },
    Fissium: { Version: version },
    ServerTime: { Timezone: timeZone, CurrentTime: new Date().toISOString() },
  });
}

/** Answers without a body. */
export function answerEmpty(res: ServerResponse, status: number, fields: Fields = []): void {
  res.writeHead(status, fields.flat());
  res.end();
}

/** An answer for a connection on which no ServerResponse exists; the connection ends with it. */
export function rawAnswer(status: number, error: FissiumError, requestId: string): string {
  const body = errorBody(error, requestId);
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\nContent-Type: application/json; charset=utf-8\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
  );
}
