import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ArchiveStore } from './archives.ts';

let folder: string;
let store: ArchiveStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-archives-'));
  store = await ArchiveStore.open(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const HELLO = sha256('hello');

describe('ArchiveStore', () => {
  it('stores content under its digest, readable by the owner alone', async () => {
    const stored = await store.put(Buffer.from('hello'));
    expect(stored).toEqual({ digest: HELLO, sizeBytes: 5, path: join(folder, HELLO) });
    expect((await stat(stored.path)).mode & 0o777).toBe(0o600);
    await store.put(Buffer.from('hello'));
    expect(await store.list()).toEqual([HELLO]);
    expect(await store.findIntact(HELLO)).toEqual(stored);
  });

  it.each([
    ['another digest', { digest: sha256('other') }, 'ARCHIVE_REFUSED', /its checksum is/],
    ['another length', { sizeBytes: 6 }, 'ARCHIVE_REFUSED', /has 5 bytes, but 6/],
    ['too much', { limitBytes: 4 }, 'BODY_TOO_LARGE', /larger than/],
  ])('refuses %s and leaves nothing behind', async (_, options, code, message) => {
    await expect(store.put(Buffer.from('hello'), options)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as unknown,
    });
    expect(await store.list()).toEqual([]);
    expect(await readdir(store.temporaryFolder)).toEqual([]);
  });

  it('leaves nothing behind when the source breaks off, and says why', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from('he'));
      throw new Error('line cut');
    }
    await expect(store.put(broken())).rejects.toThrow('line cut');
    expect(await readdir(store.temporaryFolder)).toEqual([]);
  });

  it('calls a full disk by its name', async () => {
    // oxlint-disable-next-line require-yield -- a generator that only throws needs no yield
    async function* full(): AsyncGenerator<Uint8Array> {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    }
    await expect(store.put(full())).rejects.toMatchObject({ code: 'STORAGE_FULL' });
  });

  it('finds nothing by what is no digest', async () => {
    for (const id of ['', '..', '../archives', '/etc/passwd', '.tmp', HELLO.toUpperCase(), `${HELLO}/..`]) {
      expect(await store.find(id)).toBeUndefined();
      expect(await store.remove(id)).toBe(false);
    }
  });

  it('removes an archive whose content is no longer what it was', async () => {
    const { path } = await store.put(Buffer.from('hello'));
    await writeFile(path, 'hellO');
    expect(await store.findIntact(HELLO)).toBeUndefined();
    expect(await store.find(HELLO)).toBeUndefined();
  });

  it('removes half written files of an earlier process, and keeps archives and pins', async () => {
    await store.put(Buffer.from('hello'));
    await store.pin('a name', HELLO);
    await writeFile(join(store.temporaryFolder, 'half'), 'x');
    const again = await ArchiveStore.open(folder);
    expect(await readdir(again.temporaryFolder)).toEqual([]);
    expect(await again.list()).toEqual([HELLO]);
    expect(await again.pinned('a name')).toBe(HELLO);
    expect(await again.pinned('another name')).toBeUndefined();
  });
});
