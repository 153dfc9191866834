import { type Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface TransportRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | Readable | undefined;
  readonly agent?: Agent | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Longest wait for the head of the answer. */
  readonly headTimeoutMs?: number | undefined;
}

/**
 * Sends one request and resolves with the head of the answer; the body streams. A GET that met a kept connection
 * which the server was just closing is sent once more; nothing else ever is, since it may have been carried out.
 */
export async function send(request: TransportRequest): Promise<IncomingMessage> {
  try {
    return await sendOnce(request);
  } catch (error) {
    if (
      request.method === 'GET' &&
      error instanceof StaleConnectionError &&
      request.signal?.aborted !== true
    ) {
      return sendOnce(request);
    }
    throw error instanceof StaleConnectionError ? error.cause : error;
  }
}

class StaleConnectionError extends Error {}

function sendOnce({
  method,
  url,
  headers,
  body,
  agent,
  signal,
  headTimeoutMs,
}: TransportRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const make = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const length =
      typeof body === 'string'
        ? Buffer.byteLength(body)
        : body instanceof Uint8Array
          ? body.byteLength
          : undefined;
    const request = make(url, {
      method,
      agent,
      signal,
      headers: length === undefined ? headers : { ...headers, 'content-length': String(length) },
    });
    const timer =
      headTimeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            request.destroy(new Error(`no answer from ${url.host} within ${headTimeoutMs / 1000} s`));
          }, headTimeoutMs);
    request.once('response', (response) => {
      clearTimeout(timer);
      resolve(response);
    });
    request.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const stale = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
      reject(stale ? new StaleConnectionError(error.message, { cause: error }) : error);
    });
    if (body instanceof Readable) {
      // A failing body destroys the request, which rejects above.
      pipeline(body, request).catch((error: unknown) => {
        request.destroy(error instanceof Error ? error : new Error(String(error)));
      });
    } else {
      request.end(body);
    }
  });
}

/** The whole body as text. Fails when it is longer than `limitBytes` or breaks off. */
export async function readText(body: Readable, limitBytes = 512 * 1024 * 1024): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limitBytes) {
      body.destroy();
      throw new Error(`the answer is longer than ${limitBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
