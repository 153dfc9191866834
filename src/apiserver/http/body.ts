/** Request bodies: read up to a limit, decoded by their content type. */
import type { IncomingMessage } from 'node:http';
import { decodeProtobuf, PROTOBUF_MEDIA_TYPE } from '../formats/protobuf.ts';
import { ApiError, badRequest, unsupportedMediaType } from '../status.ts';

/** As Kubernetes' default. */
export const BODY_LIMIT_BYTES = 3 * 1024 * 1024;

const BODY_TIMEOUT_MS = 60_000;

const tooLarge = (): ApiError =>
  new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${BODY_LIMIT_BYTES}`);

/** The media type without its parameters, in lower case; JSON where the client says none. */
export function mediaTypeOf(request: IncomingMessage): string {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  return type === '' ? 'application/json' : type;
}

/** The whole body. Fails with 413 over the limit, with 400 if it stops coming. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_LIMIT_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  const timeout = setTimeout(
    () => request.destroy(new Error('the body did not arrive in time')),
    BODY_TIMEOUT_MS,
  );
  try {
    for await (const chunk of request) {
      const part = chunk as Buffer;
      bytes += part.length;
      if (bytes > BODY_LIMIT_BYTES) throw tooLarge();
      chunks.push(part);
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw badRequest(
      `the request's body could not be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  } finally {
    clearTimeout(timeout);
  }
  return Buffer.concat(chunks);
}

/** The body as an object's JSON would be; undefined if there is none. Fails with 400, 413 or 415. */
export async function readObject(request: IncomingMessage): Promise<unknown> {
  const bytes = await readBody(request);
  if (bytes.length === 0) return undefined;
  const mediaType = mediaTypeOf(request);
  switch (mediaType) {
    case 'application/json':
      return parseJson(bytes);
    case 'application/yaml':
    case 'application/x-yaml':
      return parseYaml(bytes);
    case PROTOBUF_MEDIA_TYPE:
      return decodeProtobuf(bytes);
    default:
      throw unsupportedMediaType(
        `the body of the request was in an unknown format (${mediaType}) - accepted media types include: ` +
          `application/json, application/yaml, ${PROTOBUF_MEDIA_TYPE}`,
      );
  }
}

export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw badRequest(`the body is not valid JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function parseYaml(bytes: Buffer): Promise<unknown> {
  const { parse } = await import('yaml');
  try {
    // Alias expansion is bounded by the library's default maxAliasCount.
    return parse(bytes.toString('utf8')) as unknown;
  } catch (error) {
    throw badRequest(`the body is not valid YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}
