/** Fission's storage service, `/v1/archive`, as a request handler. */
import { createHash, type Hash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { Logger } from 'pino';

import type { PendingVerification, RequestVerifier } from '../../auth/internal-auth.ts';
import { FissiumError, toErrorData } from '../../errors.ts';
import { ARCHIVE_LIMIT_BYTES, type SpooledArchive, spoolArchive } from '../archives.ts';
import { type ArchiveId, formatArchiveId, parseArchiveId } from './archive-id.ts';
import type { ArchiveInfo, ArchiveStorage } from './storage.ts';

export interface StorageServiceOptions {
  readonly storage: ArchiveStorage;
  readonly logger: Logger;
  /** @default 256 MiB */
  readonly limitBytes?: number;
  /** The Packages (`namespace/name`) that name an archive; one that has any is not deleted. */
  readonly usersOf?: (id: ArchiveId) => readonly string[] | Promise<readonly string[]>;
  /** Says who sent a request. @default everybody is let in, as the platform itself */
  readonly verifier?: RequestVerifier | null;
}

/** What a multipart envelope may add to the file, bytes. */
const ENVELOPE_BYTES = 64 * 1024;

/** How much of a refused upload is read away, and for how long. */
const DISCARD_BYTES = 1024 * 1024 * 1024;
const DISCARD_MS = 30_000;

export type StorageHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Whose request it is: '' for the platform and people who hold its secret, else a tenant's namespace. */
type Caller = string;

/**
 * Handles `/v1/archive`: POST stores the form's file `uploadfile` (with its length in `X-File-Size`) and answers
 * `{"id"}`; GET gives the archive of `?id=`, or without one the list of ids; HEAD says whether there is one;
 * DELETE removes it. An id is the sha256 of the content, behind its namespace where a tenant's key signed the
 * upload; so nothing else is ever opened. A tenant finds its own archives and those that are nobody's, removes its
 * own, and cannot tell whether others are there. Never rejects.
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
  const { verifier } = options;
  const pending = verifier == null ? ANYBODY : verifier.begin(request);
  if (pending === null) throw notSigned();
  if (request.method === 'POST') return upload(request, response, options, pending);
  const caller = callerOf(pending);
  const id = new URL(request.url ?? '/', 'http://storage').searchParams.get('id');
  switch (request.method ?? '') {
    case 'GET':
      return id === null ? list(response, options, caller) : download(response, options, id, caller);
    case 'HEAD':
      return tell(response, options, id, caller);
    case 'DELETE':
      return remove(response, options, id, caller);
    default:
      response.setHeader('allow', 'POST, GET, HEAD, DELETE');
      sendJson(response, 405, {
        code: 'METHOD_NOT_ALLOWED',
        message: `${request.method} is not one of POST, GET, HEAD, DELETE.`,
      });
  }
}

const ANYBODY: PendingVerification = { finish: () => ({ namespace: '' }) };

function callerOf(pending: PendingVerification, bodyDigest?: string): Caller {
  const caller = pending.finish(bodyDigest);
  if (caller === null) throw notSigned();
  return caller.namespace;
}

function notSigned(): FissiumError {
  return new FissiumError(
    'NOT_SIGNED',
    "The request is not signed, or not with this installation's secret (FISSION_INTERNAL_AUTH_SECRET), or the clocks are more than a minute apart.",
  );
}

async function upload(
  request: IncomingMessage,
  response: ServerResponse,
  { storage, limitBytes = ARCHIVE_LIMIT_BYTES }: StorageServiceOptions,
  pending: PendingVerification,
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
  // The signature covers the whole form: what it holds is kept apart until it is known whose it is.
  const bodyHash = createHash('sha256');
  const spooled = await spoolFormFile(request, storage.spoolFolder, limitBytes, Number(announced), bodyHash);
  let id: ArchiveId;
  try {
    id = { namespace: callerOf(pending, bodyHash.digest('hex')), name: spooled.digest };
  } catch (error) {
    await rm(spooled.path, { force: true });
    throw error;
  }
  await storage.put(id, spooled);
  sendJson(response, 200, { id: formatArchiveId(id) });
}

/** Streams the form's file into the spool folder. */
async function spoolFormFile(
  request: IncomingMessage,
  folder: string,
  limitBytes: number,
  sizeBytes: number,
  bodyHash: Hash,
): Promise<SpooledArchive> {
  const { Busboy } = await import('@fastify/busboy');
  const contentType = request.headers['content-type'];
  if (contentType === undefined || !contentType.startsWith('multipart/form-data')) {
    throw new FissiumError(
      'BAD_REQUEST',
      'The body must be multipart/form-data with the file in the field "uploadfile".',
    );
  }
  let putting: Promise<SpooledArchive> | undefined;
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
    putting = spoolArchive(folder, file, { limitBytes, sizeBytes, what: 'The archive' });
    putting.catch((error: unknown) => {
      // Ends the upload: what is not stored need not be read.
      form.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  });
  try {
    await feed(request, form, bodyHash);
  } catch (error) {
    const reason = error instanceof Error ? error : new Error(String(error));
    // The form does not end its file itself when it breaks off; the store would wait for the rest.
    uploaded?.destroy(reason);
    const outcome: unknown = await putting?.catch((storing: unknown) => storing);
    if (outcome instanceof FissiumError) throw outcome;
    if (isSpooled(outcome)) await rm(outcome.path, { force: true });
    if (request.destroyed && !request.complete) {
      throw new FissiumError('CLIENT_GONE', 'The upload broke off.', { cause: error });
    }
    throw new FissiumError('BAD_REQUEST', `The form cannot be read: ${reason.message}.`, { cause: error });
  }
  if (putting === undefined) throw new FissiumError('BAD_REQUEST', 'The form has no file "uploadfile".');
  return putting;
}

/** Like `pipeline`, but leaves the request open when the form fails: its sender is still to be answered. */
function feed(request: IncomingMessage, form: Writable, bodyHash: Hash): Promise<void> {
  return new Promise((resolve, reject) => {
    form.once('finish', resolve);
    form.once('error', (error: Error) => {
      request.unpipe(form);
      reject(error);
    });
    request.once('close', () => {
      if (!request.complete) reject(new Error('the connection was cut'));
    });
    // Together with the pipe: what flows before both listen would be lost to one.
    request.on('data', (chunk: Buffer) => bodyHash.update(chunk));
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

async function list(
  response: ServerResponse,
  { storage }: StorageServiceOptions,
  caller: Caller,
): Promise<void> {
  const ids: string[] = [];
  for await (const { id } of storage.list()) {
    if (caller === '' || id.namespace === caller) ids.push(formatArchiveId(id));
  }
  sendJson(response, 200, ids);
}

async function tell(
  response: ServerResponse,
  options: StorageServiceOptions,
  id: string | null,
  caller: Caller,
): Promise<void> {
  await find(options, id, caller);
  const { type, bucket } = options.storage;
  const headers = {
    'x-fission-storagetype': type,
    ...(bucket === undefined ? {} : { 'x-fission-bucket': bucket }),
  };
  response.writeHead(200, headers).end();
}

async function download(
  response: ServerResponse,
  options: StorageServiceOptions,
  text: string,
  caller: Caller,
): Promise<void> {
  const { id, sizeBytes } = await find(options, text, caller);
  const content = await options.storage.read(id);
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': String(sizeBytes),
  });
  await pipeline(content, response).catch(() => response.destroy());
}

async function remove(
  response: ServerResponse,
  options: StorageServiceOptions,
  text: string | null,
  caller: Caller,
): Promise<void> {
  const { id } = await find(options, text, caller);
  // Nobody's archives may be anybody's code.
  if (caller !== '' && id.namespace !== caller) throw notFound();
  const users = (await options.usersOf?.(id)) ?? [];
  if (users.length > 0) {
    sendJson(response, 409, {
      code: 'BAD_REQUEST',
      message: `The archive is used by ${users.length === 1 ? 'Package' : 'Packages'} ${users.slice(0, 5).join(', ')}. Delete those first.`,
    });
    return;
  }
  await options.storage.remove(id);
  response.writeHead(200).end();
}

async function find(
  { storage }: StorageServiceOptions,
  text: string | null,
  caller: Caller,
): Promise<ArchiveInfo> {
  if (text === null) throw new FissiumError('BAD_REQUEST', 'The query has no id.');
  const id = parseArchiveId(text);
  const mayKnow = id !== null && (caller === '' || id.namespace === '' || id.namespace === caller);
  const found = mayKnow ? await storage.find(id) : undefined;
  if (found === undefined) throw notFound();
  return found;
}

function notFound(): FissiumError {
  return new FissiumError('ARCHIVE_NOT_FOUND', 'There is no archive with this id.');
}

function isSpooled(value: unknown): value is SpooledArchive {
  return typeof value === 'object' && value !== null && 'digest' in value;
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
