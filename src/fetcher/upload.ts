/** Takes an artifact to the storage service. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { readText, send } from '../kube/transport.ts';
import { packArtifact } from '../packages/artifact.ts';
import { type SpooledArchive, spoolArchive } from '../packages/archives.ts';
import type { UploadRequest, UploadResponse } from './contract.ts';
import type { StorageSigner } from './download.ts';
import { RequestError } from './request-error.ts';

const ANSWER_LIMIT_BYTES = 64 * 1024;
const HEAD_TIMEOUT_MS = 120_000;

/** @throws RequestError with what the storage service said; FissiumError BUILD_FAILED where there is nothing to take */
export async function uploadArtifact(
  { storagesvcurl, archivepackage }: UploadRequest,
  path: string,
  spoolFolder: string,
  signer: StorageSigner,
  signal: AbortSignal,
): Promise<UploadResponse> {
  const packed = join(spoolFolder, `${randomUUID()}.zip`);
  let spooled: SpooledArchive | undefined;
  try {
    await packArtifact(path, packed, { keepFile: !archivepackage });
    spooled = await spoolArchive(spoolFolder, createReadStream(packed), { what: 'the built archive' });
    const base = storagesvcurl.replace(/\/+$/, '');
    const id = await upload(new URL(`${base}/v1/archive`), spooled, signer, signal);
    return {
      archiveDownloadUrl: `${base}/v1/archive?id=${encodeURIComponent(id)}`,
      checksum: { type: 'sha256', sum: spooled.digest },
    };
  } finally {
    await rm(packed, { force: true });
    if (spooled !== undefined) await rm(spooled.path, { force: true });
  }
}

async function upload(
  url: URL,
  { path, digest, sizeBytes }: SpooledArchive,
  signer: StorageSigner,
  signal: AbortSignal,
): Promise<string> {
  const boundary = `fissium-${randomUUID()}`;
  const head = Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="uploadfile"; filename="${digest}"\r\ncontent-type: application/octet-stream\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  async function* form(): AsyncGenerator<Uint8Array> {
    yield head;
    for await (const chunk of createReadStream(path)) yield chunk as Buffer;
    yield tail;
  }
  // The signature covers the form, so that it is read twice.
  const hash = createHash('sha256');
  for await (const chunk of form()) hash.update(chunk);
  const headers = {
    ...signer({ method: 'POST', url, bodyDigest: hash.digest('hex') }),
    'content-type': `multipart/form-data; boundary=${boundary}`,
    'content-length': String(head.length + sizeBytes + tail.length),
    'x-file-size': String(sizeBytes),
  };
  const body = Readable.from(form(), { objectMode: false });
  const answer = await send({
    method: 'POST',
    url,
    headers,
    body,
    signal,
    headTimeoutMs: HEAD_TIMEOUT_MS,
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    throw new RequestError(500, `The storage service ${url.origin} did not answer: ${why}`, {
      cause: error,
      isPassing: true,
    });
  });
  const status = answer.statusCode ?? 0;
  const text = await readText(answer, ANSWER_LIMIT_BYTES);
  if (status !== 200) {
    throw new RequestError(500, `The storage service answered ${status}: ${text.slice(0, 1000).trim()}`, {
      isPassing: status >= 500 && status !== 507,
    });
  }
  const { id } = JSON.parse(text) as { id?: unknown };
  if (typeof id !== 'string')
    throw new RequestError(500, `The storage service answered without an id: ${text.slice(0, 200)}`);
  return id;
}
