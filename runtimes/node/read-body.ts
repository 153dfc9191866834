/** Reads a request's body by its content type, as Fission's Node environment does. */
import { parse as parseQuery } from 'node:querystring';

import { type FunctionRequest, mediaType } from './request.ts';

/** A body that is refused, with the status that says so. */
export class BodyRefused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Sets `body` for JSON, forms, text and `application/octet-stream`; any other type is left to the function as a
 * stream, and its `body` undefined.
 * @throws BodyRefused 400 where the body is not what its type says, 413 where it is over the limit
 */
export async function readBody(request: FunctionRequest, limitBytes: number): Promise<void> {
  const { headers } = request;
  if (headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0') return;
  const parse = parserFor(mediaType(request));
  if (parse === null) return;
  const bytes = await readAll(request, limitBytes);
  request.rawBody = bytes;
  try {
    request.body = parse(bytes);
  } catch (error) {
    throw new BodyRefused(400, `The body cannot be read: ${error instanceof Error ? error.message : ''}`);
  }
}

function parserFor(type: string): ((bytes: Buffer) => unknown) | null {
  if (type === 'application/json' || type.endsWith('+json')) {
    return (bytes) => (bytes.length === 0 ? {} : (JSON.parse(bytes.toString()) as unknown));
  }
  if (type === 'application/x-www-form-urlencoded') return (bytes) => ({ ...parseQuery(bytes.toString()) });
  if (type === 'application/octet-stream') return (bytes) => bytes;
  if (type.startsWith('text/')) return (bytes) => bytes.toString();
  return null;
}

async function readAll(request: FunctionRequest, limitBytes: number): Promise<Buffer> {
  const tooLarge = (): BodyRefused =>
    new BodyRefused(
      413,
      `The body is over ${limitBytes} bytes (BODY_PARSER_LIMIT). Send it with a content type that is not read ahead, and read \`context.request\` as a stream.`,
    );
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    total += chunk.length;
    if (total > limitBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}

/** Express' notation: `1mb`, `500kb`, or bytes. */
export function parseLimit(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?$/i.exec(text.trim());
  if (found === null) return null;
  const factor = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }[found[2]?.toLowerCase() ?? 'b'] ?? 1;
  return Math.floor(Number(found[1]) * factor);
}
