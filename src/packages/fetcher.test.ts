import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Archive } from '../api/index.ts';
import { ArchiveStore } from './archives.ts';
import { ArchiveFetcher, archiveUrl } from './fetcher.ts';

let folder: string;
let archives: ArchiveStore;
let server: Server;
let url: string;
let requests: number;
let answer: RequestListener;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-fetcher-'));
  archives = await ArchiveStore.open(folder);
  requests = 0;
  answer = (_, response) => response.end('code');
  server = createServer((request, response) => {
    requests += 1;
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/code.wasm`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const CODE = sha256('code');

const fetcher = (options: Partial<ConstructorParameters<typeof ArchiveFetcher>[0]> = {}): ArchiveFetcher =>
  new ArchiveFetcher({ archives, ...options });
const at = (where: string, sum?: string): Archive => ({
  type: 'url',
  url: where,
  ...(sum === undefined ? {} : { checksum: { type: 'sha256', sum } }),
});
const failure = (code: string, message: RegExp): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as unknown });

describe('ArchiveFetcher', () => {
  it('stores a literal', async () => {
    const stored = await fetcher().fetch({ type: 'literal', literal: Buffer.from('code') }, 'p');
    expect(stored.digest).toBe(CODE);
  });

  it('refuses a literal that is not what its checksum says', async () => {
    const literal: Archive = { type: 'literal', literal: Buffer.from('code') };
    const good = { ...literal, checksum: { type: 'sha256' as const, sum: CODE } };
    expect((await fetcher().fetch(good, 'p')).digest).toBe(CODE);
    const wrong = { ...literal, checksum: { type: 'sha256' as const, sum: '0'.repeat(64) } };
    await expect(fetcher().fetch(wrong, 'p')).rejects.toEqual(failure('ARCHIVE_REFUSED', /sha256/));
  });

  it('downloads a URL once, with or without a checksum', async () => {
    expect((await fetcher().fetch(at(url), 'pkg 1')).digest).toBe(CODE);
    expect((await fetcher().fetch(at(url), 'pkg 1')).digest).toBe(CODE);
    expect((await fetcher().fetch(at(url, CODE), 'pkg 2')).digest).toBe(CODE);
    expect(requests).toBe(1);
  });

  it('gives the same content under the same pin though the URL has another now, and the new one under another', async () => {
    await fetcher().fetch(at(url), 'pkg 1');
    answer = (_, response) => response.end('new code');
    expect((await fetcher().fetch(at(url), 'pkg 1')).digest).toBe(CODE);
    expect((await fetcher().fetch(at(url), 'pkg 2')).digest).toBe(sha256('new code'));
  });

  it('reads its own storage from the store, under any host', async () => {
    await archives.put(Buffer.from('code'));
    const nowhere = `http://nowhere.invalid/v1/archive?id=${CODE}`;
    for (const where of [archiveUrl(CODE), nowhere]) {
      expect((await fetcher().fetch(at(where, CODE), 'p')).digest).toBe(CODE);
    }
    await expect(fetcher().fetch(at(archiveUrl(CODE), sha256('x')), 'p')).rejects.toEqual(
      failure('ARCHIVE_REFUSED', /its checksum is/),
    );
    await expect(fetcher().fetch(at(archiveUrl(sha256('x'))), 'p')).rejects.toEqual(
      failure('ARCHIVE_NOT_FOUND', /Upload it again/),
    );
  });

  it('follows redirects', async () => {
    answer = (request, response) => {
      if (request.url === '/code.wasm') response.writeHead(302, { location: '/moved' }).end();
      else response.end('code');
    };
    expect((await fetcher().fetch(at(url), 'p')).digest).toBe(CODE);
  });

  it.each<[string, RequestListener, Archive['checksum'], string, RegExp]>([
    [
      '404',
      (_, r) => r.writeHead(404).end('secret page'),
      undefined,
      'ARCHIVE_NOT_FOUND',
      /code\.wasm answered 404 instead/,
    ],
    ['500', (_, r) => r.writeHead(500).end(), undefined, 'ARCHIVE_UNREACHABLE', /answered 500/],
    [
      'a cut connection',
      (_, r) => r.writeHead(200, { 'content-length': '9' }).write('c', () => r.destroy()),
      undefined,
      'ARCHIVE_UNREACHABLE',
      /could not be fetched/,
    ],
    [
      'another content',
      (_, r) => r.end('evil'),
      { type: 'sha256', sum: CODE },
      'ARCHIVE_REFUSED',
      /changed or damaged/,
    ],
    ['too much', (_, r) => r.end(Buffer.alloc(2000)), undefined, 'BODY_TOO_LARGE', /larger than/],
    ['silence', (_, r) => r.write('c'), undefined, 'ARCHIVE_UNREACHABLE', /nothing arrived for 0\.2 s/],
  ])('says why %s does not do', async (_, listener, checksum, code, message) => {
    answer = listener;
    const limited = fetcher({ limitBytes: 1000, idleTimeoutMs: 200 });
    await expect(limited.fetch({ ...at(url), ...(checksum && { checksum }) }, 'p')).rejects.toEqual(
      failure(code, message),
    );
    expect(await archives.list()).toEqual([]);
  });

  it.each([
    [
      'an unreachable host',
      at('http://nowhere.invalid/x'),
      'ARCHIVE_UNREACHABLE',
      /nowhere\.invalid\/x could not be fetched.*(ENOTFOUND|EAI_AGAIN)/,
    ],
    ['another scheme', at('file:///etc/passwd'), 'ARCHIVE_REFUSED', /not an http/],
    ['no URL', at('nonsense'), 'ARCHIVE_REFUSED', /"nonsense" is not/],
    [
      'an image',
      { type: 'oci' as const, oci: { image: 'r/x:1', imagePullSecrets: [] } },
      'ARCHIVE_REFUSED',
      /oci \(r\/x:1\) are not served yet/,
    ],
  ])('refuses %s', async (_, archive, code, message) => {
    await expect(fetcher().fetch(archive, 'p')).rejects.toEqual(failure(code, message));
  });

  it('does not show credentials of a URL', async () => {
    answer = (_, response) => response.writeHead(500).end();
    const error: unknown = await fetcher()
      .fetch(at(`${url}?token=geheim`), 'p')
      .catch((thrown: unknown) => thrown);
    expect(String(error)).not.toContain('geheim');
  });
});
