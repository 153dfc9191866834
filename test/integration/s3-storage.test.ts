/** The storage service over a real S3 server. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  ArchivePruner,
  createStorageHandler,
  formatArchiveId,
  S3Storage,
  type S3StorageOptions,
} from '../../src/packages/index.ts';
import { spoolArchive } from '../../src/packages/archives.ts';
import { canStartS3, type S3Server, startS3 } from '../s3/server.ts';

const MIB = 1024 * 1024;
const logger = pino({ level: 'silent' });
const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe.skipIf(!(await canStartS3()))('the storage service on S3', () => {
  let s3: S3Server;
  let folder: string;
  let storage: S3Storage;
  let server: Server;
  let url: string;

  const options = (more: Partial<S3StorageOptions> = {}): S3StorageOptions => ({
    endpoint: s3.endpoint,
    bucket: s3.bucket,
    accessKeyId: s3.accessKeyId,
    secretAccessKey: s3.secretAccessKey,
    prefix: '/fissium archives/',
    spoolFolder: join(folder, 'spool'),
    ...more,
  });

  beforeAll(async () => {
    s3 = await startS3();
    folder = await mkdtemp(join(tmpdir(), 'fissium-s3-test-'));
    storage = await S3Storage.open(options());
    const handler = createStorageHandler({ storage, logger, limitBytes: 32 * MIB });
    server = createServer((request, response) => void handler(request, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/archive`;
  }, 900_000);
  afterAll(async () => {
    server?.closeAllConnections();
    server?.close();
    await storage?.close();
    await s3?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function upload(content: Uint8Array): Promise<Response> {
    const form = new FormData();
    form.append('uploadfile', new Blob([content as Uint8Array<ArrayBuffer>]), 'code.zip');
    return fetch(url, { method: 'POST', body: form, headers: { 'x-file-size': String(content.length) } });
  }

  it('stores, tells, gives, lists and deletes', async () => {
    const content = randomBytes(12 * MIB);
    const id = sha256(content);
    const stored = await upload(content);
    expect([stored.status, await stored.json()]).toEqual([200, { id }]);
    expect(await readdir(join(s3.bucketFolder, 'fissium archives'))).toEqual([id]);
    expect(await readdir(storage.spoolFolder)).toEqual([]);

    const head = await fetch(`${url}?id=${id}`, { method: 'HEAD' });
    expect(head.headers.get('x-fission-storagetype')).toBe('s3');
    expect(head.headers.get('x-fission-bucket')).toBe(s3.bucket);
    const given = await fetch(`${url}?id=${id}`);
    expect(sha256(new Uint8Array(await given.arrayBuffer()))).toBe(id);
    expect(await (await fetch(url)).json()).toEqual([id]);
    expect((await fetch(`${url}?id=${id}`, { method: 'DELETE' })).status).toBe(200);
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      expect((await fetch(`${url}?id=${id}`, { method })).status, method).toBe(404);
    }
  });

  it('lists more than a page holds, and nothing else of the bucket', async () => {
    const other = await S3Storage.open(
      options({ prefix: 'fissium', spoolFolder: join(folder, 'other'), pageSize: 10 }),
    );
    const wanted: string[] = [];
    for (let i = 0; i < 25; i += 1) {
      const spooled = await spoolArchive(other.spoolFolder, Buffer.from(`archive ${i}`));
      const id = { namespace: i % 2 === 0 ? '' : 'team', name: spooled.digest };
      await other.put(id, spooled);
      wanted.push(formatArchiveId(id));
    }
    const listed: string[] = [];
    for await (const { id } of other.list()) listed.push(formatArchiveId(id));
    expect(listed.toSorted()).toEqual(wanted.toSorted());
    expect(await (await fetch(url)).json()).toEqual([]);
    await other.close();
  });

  it('is pruned of what nothing names', async () => {
    const ids = await Promise.all(
      ['kept', 'gone'].map(async (text) => {
        const spooled = await spoolArchive(storage.spoolFolder, Buffer.from(text));
        await storage.put({ namespace: '', name: spooled.digest }, spooled);
        return spooled.digest;
      }),
    );
    let nowMs = Date.now() + 2 * 3_600_000;
    const named = (): Promise<Set<string>> => Promise.resolve(new Set([sha256('kept')]));
    const pruner = new ArchivePruner({ storage, named, logger, now: () => nowMs });
    expect(await pruner.prune()).toEqual([]);
    nowMs += 3_600_000;
    expect(await pruner.prune()).toEqual([sha256('gone')]);
    expect(await (await fetch(url)).json()).toEqual([ids[0]]);
  });

  it('says what is wrong with the bucket or the credentials', async () => {
    const open = (more: Partial<S3StorageOptions>): Promise<S3Storage> =>
      S3Storage.open(options({ spoolFolder: join(folder, 'never'), attempts: 1, ...more }));
    await expect(open({ bucket: 'nothing-there' })).rejects.toThrow(/nothing-there.*404 NoSuchBucket/);
    await expect(open({ secretAccessKey: 'wrong' })).rejects.toThrow(/403 SignatureDoesNotMatch/);
    await expect(open({ endpoint: 'http://127.0.0.1:1' })).rejects.toMatchObject({
      code: 'STORAGE_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED') as string,
    });
    await expect(open({ endpoint: 'localhost' })).rejects.toMatchObject({ code: 'BAD_OPTION' });
    await expect(open({ bucket: 'a/b' })).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });

  it('answers 503, not a lie, while the S3 server is away, and stores nothing half', async () => {
    const away = await startS3();
    const alone = await S3Storage.open(options({ ...away, attempts: 1, spoolFolder: join(folder, 'alone') }));
    await away.close();
    const spooled = await spoolArchive(alone.spoolFolder, Buffer.from('lost?'));
    await expect(alone.put({ namespace: '', name: spooled.digest }, spooled)).rejects.toMatchObject({
      code: 'STORAGE_UNREACHABLE',
      status: 503,
    });
    await expect(alone.find({ namespace: '', name: spooled.digest })).rejects.toMatchObject({
      code: 'STORAGE_UNREACHABLE',
    });
    expect(await readdir(alone.spoolFolder)).toEqual([]);
    await alone.close();
  });
});
