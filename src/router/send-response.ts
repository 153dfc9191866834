/** A function's answer on its way to the client. */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { FissiumError } from '../errors.ts';
import type { HeaderList, InvokeResponse } from '../executors/executor.ts';
import { toFissiumError } from './answers.ts';
import { whenSent } from './exchange.ts';
import { responseTrailers, type ResponseHead } from './headers.ts';

/** What is read and thrown away of a body that the answer may not have (HEAD, 204, 304). */
const UNSENT_BYTES = 1024 * 1024;
const UNSENT_MS = 5_000;

export interface SendOptions {
  /** Called for each chunk that moves. */
  readonly onProgress: () => void;
  /** Trailers of the router's own, asked for when the body has ended. */
  readonly trailers: (() => Promise<HeaderList>) | null;
}

/**
 * Sends the body as fast as the client takes it; the function is read no faster. The head is written already.
 * Resolves when everything was handed to the socket; rejects with what the function failed with, or with
 * GUEST_BAD_RESPONSE where it sent more or less than its content-length.
 */
export async function sendBody(
  res: ServerResponse,
  response: InvokeResponse,
  head: ResponseHead,
  { onProgress, trailers: more }: SendOptions,
): Promise<void> {
  const { body, release } = response;
  if (!(body instanceof Readable)) throw new TypeError('a body that is whole is sent by sendWhole');
  const sent = await pump(res, body, { contentLength: head.contentLength, onProgress, release });
  if (head.contentLength !== null && sent < head.contentLength) {
    throw new FissiumError(
      'GUEST_BAD_RESPONSE',
      `The function promised ${head.contentLength} bytes (content-length) and sent ${sent}.`,
    );
  }
  const trailers = res.chunkedEncoding ? responseTrailers(await ended(response.trailers)) : [];
  if (res.chunkedEncoding && more !== null) trailers.push(...responseTrailers(await more()));
  if (trailers.length > 0) res.addTrailers(trailers);
  res.end();
}

/**
 * Adds what a body that is there already says about its length, where the function said nothing.
 * @throws FissiumError GUEST_BAD_RESPONSE where the function promised another length
 */
export function addLength(headers: string[], { body, trailers }: InvokeResponse, head: ResponseHead): void {
  if (body instanceof Readable) return;
  if (head.contentLength === null) {
    const mayHaveTrailers = trailers instanceof Promise || trailers.length > 0;
    if (!mayHaveTrailers) headers.push('content-length', String(body.byteLength));
    return;
  }
  if (body.byteLength === head.contentLength) return;
  throw new FissiumError(
    'GUEST_BAD_RESPONSE',
    `The function promised ${head.contentLength} bytes (content-length) and sent ${body.byteLength}.`,
  );
}

/** Sends a body that is there already: with its trailers, if it has any, which only chunks can carry. */
export function sendWhole(res: ServerResponse, response: InvokeResponse): Promise<void> | undefined {
  const { body, trailers } = response;
  if (body instanceof Readable) throw new TypeError('a body that streams is sent by sendBody');
  if (trailers instanceof Promise || trailers.length > 0) {
    res.write(body);
    return sendTrailers(res, trailers);
  }
  res.end(body);
  return undefined;
}

async function sendTrailers(res: ServerResponse, trailers: HeaderList | Promise<HeaderList>): Promise<void> {
  const fields = await ended(trailers);
  if (res.chunkedEncoding && fields.length > 0) res.addTrailers(responseTrailers(fields));
  res.end();
}

/** Waits for a body that is not sent, so that the function ends as it would have, but not for long. */
export async function skipBody(body: Readable): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let skipped = 0;
  const timer = setTimeout(() => body.destroy(), UNSENT_MS).unref();
  body.on('data', (chunk: Uint8Array) => {
    skipped += chunk.length;
    if (skipped > UNSENT_BYTES) body.destroy();
  });
  body.on('error', () => undefined);
  body.once('close', resolve);
  body.once('end', resolve);
  if (body.destroyed || body.readableEnded) resolve();
  await promise;
  clearTimeout(timer);
}

/** Whether the end of the answer can only be told by the connection's end (HTTP/1.0 without a length). */
export function endsWithConnection(res: ServerResponse): boolean {
  return !res.chunkedEncoding && !res.hasHeader('content-length') && res.req.httpVersionMinor === 0;
}

async function ended(trailers: HeaderList | Promise<HeaderList>): Promise<HeaderList> {
  try {
    return await trailers;
  } catch (thrown) {
    throw toFissiumError(thrown);
  }
}

interface PumpOptions {
  readonly contentLength: number | null;
  readonly onProgress: () => void;
  readonly release: InvokeResponse['release'];
}

function pump(
  res: ServerResponse,
  body: Readable,
  { contentLength, onProgress, release }: PumpOptions,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let sent = 0;
  const onDrain = (): void => {
    onProgress();
    body.resume();
  };
  const settle = (): void => void res.off('drain', onDrain);
  body.on('data', (chunk: Uint8Array | string) => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    onProgress();
    sent += bytes.length;
    if (contentLength !== null && sent > contentLength) {
      body.destroy(
        new FissiumError(
          'GUEST_BAD_RESPONSE',
          `The function promised ${contentLength} bytes (content-length) and sent more.`,
        ),
      );
      return;
    }
    if (!res.write(bytes, release && whenSent(bytes, release))) body.pause();
  });
  res.on('drain', onDrain);
  body.once('end', () => {
    settle();
    resolve(sent);
  });
  body.on('error', (thrown) => {
    settle();
    reject(toFissiumError(thrown));
  });
  body.once('close', () => {
    settle();
    if (!body.readableEnded && body.errored === null) reject(brokenOff());
  });
  if (body.errored !== null) reject(toFissiumError(body.errored));
  else if (body.readableEnded) resolve(0);
  else if (body.destroyed) reject(brokenOff());
  // A head with nothing behind it yet (an event stream, say) is worth sending on its own.
  setImmediate(() => {
    if (sent === 0 && !res.writableEnded && !res.destroyed) res.flushHeaders();
  });
  return promise;
}

function brokenOff(): FissiumError {
  return new FissiumError('GUEST_BAD_RESPONSE', 'The function broke its answer off before its end.');
}
