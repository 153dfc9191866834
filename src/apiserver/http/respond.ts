import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { toErrorData } from '../../errors.ts';
import { FormatError } from '../formats/format-error.ts';
import { ApiError } from '../status.ts';

/** One request on its way, with what every handler needs of it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

export function sendJson(
  exchange: Exchange,
  code: number,
  value: unknown,
  warnings: readonly string[] = [],
): void {
  sendText(exchange, code, 'application/json', JSON.stringify(value), warnings);
}

export function sendText(
  { response, method }: Exchange,
  code: number,
  contentType: string,
  text: string,
  warnings: readonly string[] = [],
): void {
  const body = Buffer.from(text);
  const headers: Record<string, string | number | string[]> = {
    'Content-Type': contentType,
    'Content-Length': body.length,
    'Cache-Control': 'no-cache, private',
  };
  // RFC 7234 section 5.5, in the form that Kubernetes uses: code 299, no agent.
  if (warnings.length > 0) headers['Warning'] = warnings.map((warning) => `299 - ${quoted(warning)}`);
  response.writeHead(code, headers);
  response.end(method === 'HEAD' ? undefined : body);
}

function quoted(text: string): string {
  const printable = text.replaceAll(/[^ -~]/g, '?');
  return `"${printable.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

const FORMAT_REASONS = {
  400: 'BadRequest',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
} as const;

/** What a client is told of whatever was thrown. */
export function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof FormatError)
    return new ApiError(error.status, FORMAT_REASONS[error.status], error.message);
  const { code, message } = toErrorData(error);
  if (code === 'STORAGE_FULL') return new ApiError(507, 'InsufficientStorage', message);
  if (code === 'SHUTTING_DOWN') return new ApiError(503, 'ServiceUnavailable', message);
  return new ApiError(500, 'InternalError', `Internal error occurred: ${message}`);
}

/** Answers with the failure's Status, or ends the connection where an answer has begun. */
export function sendError(exchange: Exchange, error: unknown, logger: Logger): void {
  const { request, response } = exchange;
  const told = apiErrorOf(error);
  if (told.code >= 500)
    logger.error({ err: error, method: exchange.method, path: exchange.path }, 'request failed');
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // An unread body would be taken for the next request.
  if (!request.complete) response.setHeader('Connection', 'close');
  if (told.details?.retryAfterSeconds !== undefined) {
    response.setHeader('Retry-After', told.details.retryAfterSeconds);
  }
  sendJson(exchange, told.code, told.toStatus());
}
