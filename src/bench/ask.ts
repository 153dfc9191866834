/** One request on a new connection, timed from connecting to the last byte. */
import { createServer, request } from 'node:http';

export interface Asked {
  readonly ms: number;
  readonly status: number;
  readonly text: string;
  /** When each chunk of the body came, ms since the request began. */
  readonly chunksAtMs: readonly number[];
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** What came behind the body (RFC 9110, section 6.5). */
  readonly trailers: Readonly<Record<string, string | undefined>>;
}

export interface AskInit {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export function ask(url: string, { method, headers, body }: AskInit = {}): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const settings = {
      agent: false as const,
      timeout: 30_000,
      ...(method === undefined ? {} : { method }),
      headers: { ...headers, ...(body === undefined ? {} : { 'content-length': String(body.length) }) },
    };
    const outgoing = request(url, settings, (response) => {
      const chunks: Buffer[] = [];
      const chunksAtMs: number[] = [];
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        chunksAtMs.push(performance.now() - startedAt);
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          ms: performance.now() - startedAt,
          status: response.statusCode ?? 0,
          text: Buffer.concat(chunks).toString(),
          chunksAtMs,
          headers: response.headers,
          trailers: response.trailers,
        }),
      );
    });
    outgoing.on('error', reject);
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer from ${url} within 30 s`)));
    outgoing.end(body);
  });
}

/** @throws Error where the answer is no success (2xx): then there is no figure */
export async function askOk(url: string, init: AskInit = {}): Promise<Asked> {
  const asked = await ask(url, init);
  if (asked.status < 200 || asked.status > 299)
    throw new Error(`${url} answered ${asked.status} ${asked.text.slice(0, 200)}`);
  return asked;
}

/** Asks until the answer is right, without a pause but the event loop's. @throws Error after `timeoutMs` */
export async function until(
  url: string,
  wanted: (asked: Asked) => boolean,
  timeoutMs: number,
): Promise<Asked> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const asked = await ask(url).catch(() => null);
    if (asked && wanted(asked)) return asked;
    if (performance.now() > end)
      throw new Error(`${url} did not give the wanted answer within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Asks a server of its own for a while, so that the client's own first requests are not taken for the servers'. */
export async function warmClient(): Promise<void> {
  const server = createServer((_request, response) => response.end('warm'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  for (let i = 0; i < 200; i++) await askOk(`http://127.0.0.1:${port}/`);
  await new Promise((resolve) => server.close(resolve));
}
