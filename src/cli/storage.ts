/** The storage service's archives (Fission's `/v1/archive`): upload, download, delete. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import type { LocalArchive } from './archive.ts';
import type { Cluster } from './cluster.ts';
import { CliError } from './errors.ts';
import type { Output } from './output.ts';

/** Uploads a file, streaming, and answers the URL that a Package refers to it by. */
export async function upload(cluster: Cluster, out: Output, archive: LocalArchive): Promise<string> {
  const boundary = `fissium-${randomUUID()}`;
  const head = Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="uploadfile"; filename="${encodeURIComponent(basename(archive.file))}"\r\ncontent-type: application/octet-stream\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const what = `uploading ${basename(archive.file)} (${mebibytes(archive.bytes)})`;
  const progress = out.progress(what);
  let sent = 0;
  async function* body(): AsyncGenerator<Uint8Array> {
    yield head;
    for await (const chunk of createReadStream(archive.file)) {
      sent += (chunk as Buffer).length;
      // In tens: each step is a line where there is no terminal.
      progress.update(`${what}: ${Math.floor((10 * sent) / archive.bytes) * 10} %`);
      yield chunk as Buffer;
    }
    yield tail;
  }
  try {
    const answer = await cluster.service('storagesvc', '/v1/archive', {
      method: 'POST',
      headers: {
        'content-type': `multipart/form-data; boundary=${boundary}`,
        'content-length': String(head.length + archive.bytes + tail.length),
        'x-file-size': String(archive.bytes),
      },
      body: Readable.from(body(), { objectMode: false }),
      bodyDigest: async () => {
        const hash = createHash('sha256').update(head);
        for await (const chunk of createReadStream(archive.file)) hash.update(chunk as Buffer);
        return hash.update(tail).digest('hex');
      },
    });
    const text = await answer.text();
    if (answer.status >= 300) {
      throw new CliError(`the storage service refused ${archive.file}`, {
        why: serviceMessage(answer.status, text),
      });
    }
    const { id } = JSON.parse(text) as { id: string };
    return `http://storagesvc.${cluster.controlNamespace}/v1/archive?id=${encodeURIComponent(id)}`;
  } finally {
    progress.end();
  }
}

/** The bytes behind a Package's URL: from the storage service, or from anywhere else. */
export async function download(cluster: Cluster, url: string): Promise<AsyncIterable<Uint8Array>> {
  const path = storagePath(url);
  if (path === undefined) {
    const response = await fetch(url);
    if (!response.ok || response.body === null) throw new CliError(`${url} answers ${response.status}`);
    return response.body;
  }
  const answer = await cluster.service('storagesvc', path);
  if (answer.status >= 300) {
    throw new CliError('the archive cannot be read', {
      why: serviceMessage(answer.status, await answer.text()),
    });
  }
  return answer.body as AsyncIterable<Uint8Array>;
}

/** Takes an uploaded archive away that nothing refers to; that it stays behind is no failure. */
export async function discard(cluster: Cluster, url: string): Promise<void> {
  const path = storagePath(url);
  if (path === undefined) return;
  const answer = await cluster.service('storagesvc', path, { method: 'DELETE' }).catch(() => undefined);
  answer?.body.resume();
}

/** Path and query within the storage service, or undefined where the URL is another's. */
function storagePath(url: string): string | undefined {
  const parsed = URL.parse(url);
  const isStorage =
    parsed !== null && /^storage(svc)?(\.|$)/.test(parsed.hostname) && parsed.pathname === '/v1/archive';
  return isStorage ? parsed.pathname + parsed.search : undefined;
}

/** What a service of the platform answered, for people: the message of its JSON error, or its text. */
export function serviceMessage(status: number, text: string): string {
  try {
    const body = JSON.parse(text) as { message?: unknown; error?: unknown; code?: unknown };
    const inner = (typeof body.error === 'object' && body.error !== null ? body.error : body) as typeof body;
    const message = typeof inner.message === 'string' ? inner.message : inner.error;
    if (typeof message === 'string') {
      return `${status}${typeof inner.code === 'string' ? ` ${inner.code}` : ''}: ${message}`;
    }
  } catch {
    // Not JSON: the text itself.
  }
  return `${status}${text.trim() === '' ? '' : `: ${text.trim().slice(0, 1000)}`}`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
