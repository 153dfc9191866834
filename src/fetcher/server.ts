/** The fetcher's HTTP interface, Fission's. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Logger } from 'pino';

import type { RequestVerifier } from '../auth/internal-auth.ts';
import { FissiumError } from '../errors.ts';
import { readFetchRequest, readSpecializeRequest, readUploadRequest } from './contract.ts';
import type { Fetcher } from './fetcher.ts';
import { RequestError } from './request-error.ts';

export interface FetcherServerOptions {
  readonly fetcher: Fetcher;
  readonly logger: Logger;
  readonly version: string;
  /** Whether the pod may be told that it is ready: what is specialised at the start is. */
  readonly ready: () => boolean;
  /** @default everybody is let in */
  readonly verifier?: RequestVerifier | null;
}

const BODY_LIMIT_BYTES = 4 * 1024 * 1024;

type Action = (body: unknown, signal: AbortSignal) => Promise<object | void>;

export function createFetcherHandler(
  options: FetcherServerOptions,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { fetcher, logger, version, ready, verifier } = options;
  const actions: Readonly<Record<string, Action>> = {
    '/fetch': (body, signal) => fetcher.fetch(readFetchRequest(body), signal),
    '/specialize': (body, signal) => fetcher.specialize(readSpecializeRequest(body), signal),
    '/upload': (body, signal) => fetcher.upload(readUploadRequest(body), signal),
  };
  const isReady = (): [number, string] => (ready() ? [200, 'ok'] : [503, 'not specialized yet']);
  const answers: Readonly<Record<string, () => [status: number, text: string]>> = {
    '/healthz': () => [200, 'ok'],
    '/readiness-healthz': isReady,
    // As older executors of Fission spell it.
    '/readniess-healthz': isReady,
    '/wakeup': () => [200, 'ok'],
    // Runtimes of Fission tell of WebSockets; the router counts them itself.
    '/wsevent/start': () => [200, 'ok'],
    '/wsevent/end': () => [200, 'ok'],
    '/version': () => [200, JSON.stringify({ Version: version, GitCommit: '', BuildDate: '' })],
  };
  return async (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const answer = answers[path];
    if (answer !== undefined) return send(response, ...answer());
    try {
      const action = actions[path];
      if (action === undefined) throw new RequestError(404, 'not found');
      if (request.method !== 'POST') throw new RequestError(405, 'only POST is supported on this endpoint');
      const body = await readBody(request, verifier ?? null);
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const result = await action(body, gone.signal);
      if (result === undefined) send(response, 200, '');
      else send(response, 200, JSON.stringify(result), 'application/json');
    } catch (error) {
      const [status, message] = describe(error);
      logger.error({ err: error, path, status }, 'a request failed');
      if (!response.headersSent) send(response, status, message);
    }
  };
}

async function readBody(request: IncomingMessage, verifier: RequestVerifier | null): Promise<unknown> {
  const pending = verifier?.begin(request);
  if (pending === null) throw notSigned();
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > BODY_LIMIT_BYTES) throw new RequestError(413, 'the body is larger than 4 MiB');
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (pending?.finish(createHash('sha256').update(body).digest('hex')) === null) throw notSigned();
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch (error) {
    throw new RequestError(400, `the body is no JSON: ${(error as Error).message}`, { cause: error });
  }
}

function notSigned(): RequestError {
  return new RequestError(401, 'the request is not signed for the fetcher of this pod');
}

/** Status and text of a failure, as Fission's callers show them. */
export function describe(error: unknown): [status: number, message: string] {
  if (error instanceof RequestError) return [error.status, error.message];
  if (error instanceof FissiumError) return [error.status, error.message];
  return [500, error instanceof Error ? error.message : String(error)];
}

function send(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8` }).end(text);
}
