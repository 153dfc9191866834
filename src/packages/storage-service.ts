/** Fission's storage service, `/v1/archive`, as a request handler. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { Logger } from 'pino';

import { FissiumError, toErrorData } from '../errors.ts';
import { ARCHIVE_LIMIT_BYTES, type ArchiveStore, type StoredArchive } from './archives.ts';

export interface StorageServiceOptions {
  readonly archives: ArchiveStore;
  readonly logger: Logger;
  /** @default 256 MiB */
  readonly limitBytes?: number;
  /** The Packages (`namespace/name`) that name an archive; one that has any is not deleted. */
  readonly usersOf?: (digest: string) => readonly string[];
}

/** What a multipart envelope may add to the file, bytes. */
const ENVELOPE_BYTES = 64 * 1024;

/** How much of a refused upload is read away, and for how long. */
const DISCARD_BYTES = 1024 * 1024 * 1024;
const DISCARD_MS = 30_000;

export type StorageHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/**
 * Handles `/v1/archive`: POST stores the form's file `uploadfile` (with its length in `X-File-Size`) and answers
 * `{"id"}`; GET gives the archive of `?id=`, or without one the list of ids; HEAD says whether there is one;
 * DELETE removes it. An id is the sha256 of the content, so nothing else is ever opened. Never rejects.
 */
export function createStorageHandler(options: StorageServiceOptions): StorageHandler {
  const logger = options.logger.child({ component: 'storage' });
  return async (request, response) => {
    try {
      await route(request, response, options);
    } catch (error) {
      const { code, message } = toErrorData(error);
      const status = error instanceof FissiumError ? error.status : 500;
      if (status >= 500) logger.error({ err: error }, 'a storage request failed');
      if (response.headersSent) {
        response.destroy();
        return;
      }
      sendJson(response, status, { code, message });
      discardRest(request);
    }
  };
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  options: StorageServiceOptions,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://storage');
  const id = url.searchParams.get('id');
  switch (request.method ?? '') {
    case 'POST':
      return upload(request, response, options);
    case 'GET':
      return id === null ? list(response, options) : download(response, options, id);
    case 'HEAD':
      await find(options, id);
      response.writeHead(200, { 'x-fission-storagetype': 'local' }).end();
      return;
    case 'DELETE':
      return remove(response, options, id);
    default:
      response.setHeader('allow', 'POST, GET, HEAD, DELETE');
      sendJson(response, 405, {
        code: 'METHOD_NOT_ALLOWED',
        message: `${request.method} is not one of POST, GET, HEAD, DELETE.`,
      });
  }
}

async function upload(
  request: IncomingMessage,
  response: ServerResponse,
  { archives, limitBytes = ARCHIVE_LIMIT_BYTES }: StorageServiceOptions,
): Promise<void> {
  const announced = request.headers['x-file-size'];
  if (typeof announced !== 'string' || !/^\d{1,15}$/.test(announced)) {
    throw new FissiumError('BAD_REQUEST', 'X-File-Size must be the length of the file in bytes.');
  }
  const bodyBytes = Number(request.headers['content-length'] ?? 0);
  if (Number(announced) > limitBytes || bodyBytes > limitBytes + ENVELOPE_BYTES) {
    throw new FissiumError(
      'BODY_TOO_LARGE',
      `The archive is larger than ${limitBytes / 1024 / 1024} MiB, the most that is taken.`,
    );
  }
  const stored = await storeFormFile(request, archives, limitBytes, Number(announced));
  sendJson(response, 200, { id: stored.digest });
}

/** Streams the form's file into the store. */
async function storeFormFile(
  request: IncomingMessage,
  archives: ArchiveStore,
  limitBytes: number,
  sizeBytes: number,
): Promise<StoredArchive> {
  const { Busboy } = await import('@fastify/busboy');
  const contentType = request.headers['content-type'];
  if (contentType === undefined || !contentType.startsWith('multipart/form-data')) {
    throw new FissiumError(
      'BAD_REQUEST',
      'The body must be multipart/form-data with the file in the field "uploadfile".',
    );
  }
  let putting: Promise<StoredArchive> | undefined;
  let uploaded: Readable | undefined;
  const form = new Busboy({
    headers: { ...request.headers, 'content-type': contentType },
    limits: { files: 1, fields: 20, fieldSize: 64 * 1024, parts: 21 },
  });
  form.on('file', (field: string, file: Readable) => {
    if (field !== 'uploadfile' || putting !== undefined) {
      file.resume();
      return;
    }
    uploaded = file;
    putting = archives.put(file, { limitBytes, sizeBytes, what: 'The archive' });
    putting.catch((error: unknown) => {
      // Ends the upload: what is not stored need not be read.
      form.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  });
  try {
    await feed(request, form);
  } catch (error) {
    const reason = error instanceof Error ? error : new Error(String(error));
    // The form does not end its file itself when it breaks off; the store would wait for the rest.
    uploaded?.destroy(reason);
    const outcome: unknown = await putting?.catch((storing: unknown) => storing);
    if (outcome instanceof FissiumError) throw outcome;
    if (request.destroyed && !request.complete) {
      throw new FissiumError('CLIENT_GONE', 'The upload broke off.', { cause: error });
    }
    throw new FissiumError('BAD_REQUEST', `The form cannot be read: ${reason.message}.`, { cause: error });
  }
  if (putting === undefined) throw new FissiumError('BAD_REQUEST', 'The form has no file "uploadfile".');
  return putting;
}

/** Like `pipeline`, but leaves the request open when the form fails: its sender is still to be answered. */
function feed(request: IncomingMessage, form: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    form.once('finish', resolve);
    form.once('error', (error: Error) => {
      request.unpipe(form);
      reject(error);
    });
    request.once('close', () => {
      if (!request.complete) reject(new Error('the connection was cut'));
    });
    request.pipe(form);
  });
}

/**
 * Reads away what is left of a refused upload, within limits: a connection that is closed while the sender
 * still writes is reset, and the sender never sees the answer.
 */
function discardRest(request: IncomingMessage): void {
  if (request.complete) return;
  const timer = setTimeout(() => request.destroy(), DISCARD_MS);
  timer.unref();
  request.once('close', () => clearTimeout(timer));
  let left = DISCARD_BYTES;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
}

async function list(response: ServerResponse, { archives }: StorageServiceOptions): Promise<void> {
  sendJson(response, 200, await archives.list());
}

async function download(response: ServerResponse, options: StorageServiceOptions, id: string): Promise<void> {
  const { digest, sizeBytes } = await find(options, id);
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': String(sizeBytes),
  });
  await pipeline(options.archives.read(digest), response).catch(() => response.destroy());
}

async function remove(
  response: ServerResponse,
  options: StorageServiceOptions,
  id: string | null,
): Promise<void> {
  const { digest } = await find(options, id);
  const users = options.usersOf?.(digest) ?? [];
  if (users.length > 0) {
    sendJson(response, 409, {
      code: 'BAD_REQUEST',
      message: `The archive is used by ${users.length === 1 ? 'Package' : 'Packages'} ${users.slice(0, 5).join(', ')}. Delete those first.`,
    });
    return;
  }
  await options.archives.remove(digest);
  response.writeHead(200).end();
}

async function find({ archives }: StorageServiceOptions, id: string | null): Promise<StoredArchive> {
  if (id === null) throw new FissiumError('BAD_REQUEST', 'The query has no id.');
  const found = await archives.find(id);
  if (found === undefined) throw new FissiumError('ARCHIVE_NOT_FOUND', 'There is no archive with this id.');
  return found;
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(text)),
    })
    .end(text);
}
