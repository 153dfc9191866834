import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';

import { ArchiveStore } from './archives.ts';
import { PACKAGE_FILES_LIMIT_BYTES, readPackageFiles } from './package-files.ts';

let folder: string;
let store: ArchiveStore;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-package-files-'));
  store = await ArchiveStore.open(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(async () => {
  // Nothing is written to disk on the way.
  const left = await readdir(store.temporaryFolder);
  if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
});

const MODIFIED = new Date(Date.UTC(2026, 10, 23, 12, 30, 10));

async function zipOf(entries: Record<string, Buffer | string>): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(entries)) {
    if (name.endsWith('/')) zip.addEmptyDirectory(name);
    else zip.addBuffer(Buffer.from(content), name, { mtime: MODIFIED });
  }
  zip.end();
  return buffer(zip.outputStream);
}

async function filesIn(archive: Uint8Array): Promise<Record<string, string> | null> {
  const set = await readPackageFiles(await store.put(archive));
  if (set === null) return null;
  const bytes = Buffer.from(new Uint8Array(set.bytes));
  return Object.fromEntries(
    set.entries.map(({ path, offset, sizeBytes }) => [
      path,
      bytes.subarray(offset, offset + sizeBytes).toString(),
    ]),
  );
}

describe('readPackageFiles', () => {
  it('gives all files but modules and what macOS adds, in memory that threads share', async () => {
    const zip = await zipOf({
      'function.wasm': '\0asm',
      'other.WASM': '\0asm',
      'a/b.html': 'page',
      'empty/': '',
      empty: '',
      '__MACOSX/._a': 'x',
      'a/._b.html': 'x',
    });
    expect(await filesIn(zip)).toEqual({ 'a/b.html': 'page', empty: '' });
    const set = await readPackageFiles(await store.put(zip));
    expect(set?.bytes).toBeInstanceOf(SharedArrayBuffer);
    expect(set?.digest).toBe((await readPackageFiles(await store.put(zip)))?.digest);
    expect(typeof set?.entries[0]?.modifiedMs).toBe('number');
  });

  it('gives another digest for other names, contents and cuts between them', async () => {
    const sets: Record<string, string>[] = [
      { a: '12', b: '3' },
      { a: '1', b: '23' },
      { a: '12', c: '3' },
      { a: '12', b: '4' },
    ];
    const digests = await Promise.all(
      sets.map(async (entries) => (await readPackageFiles(await store.put(await zipOf(entries))))?.digest),
    );
    expect(new Set(digests).size).toBe(sets.length);
  });

  it('gives nothing where there is nothing', async () => {
    expect(await filesIn(Buffer.from('\0asm\x01\0\0\0'))).toBe(null);
    expect(await filesIn(await zipOf({ 'function.wasm': '\0asm' }))).toBe(null);
  });

  it('refuses what is too large, and says how large it is', async () => {
    // Stored as they are, so that they are not refused as a bomb.
    const block = Buffer.alloc(1024 * 1024, 'x');
    const zip = new ZipFile();
    for (let i = 0; i <= PACKAGE_FILES_LIMIT_BYTES / block.length; i += 1) {
      zip.addBuffer(block, `${i}`, { compress: false });
    }
    zip.end();
    const archive = await store.put(await buffer(zip.outputStream));
    await expect(readPackageFiles(archive)).rejects.toMatchObject({
      code: 'ARCHIVE_REFUSED',
      message: expect.stringMatching(/have 65 MiB together, and 64 MiB are allowed/) as unknown,
    });
  });

  it('refuses names that no function could open, and files that are damaged', async () => {
    await expect(filesIn(await zipOf({ [`a/${'ü'.repeat(128)}`]: 'x' }))).rejects.toMatchObject({
      code: 'ARCHIVE_REFUSED',
      message: expect.stringMatching(/could not be opened by a function/) as unknown,
    });
    const zip = new ZipFile();
    zip.addBuffer(Buffer.from('a plain text'), 'a', { compress: false });
    zip.end();
    const damaged = Buffer.from(
      (await buffer(zip.outputStream)).toString('latin1').replace('plain', 'plane'),
      'latin1',
    );
    await expect(filesIn(damaged)).rejects.toMatchObject({
      code: 'ARCHIVE_REFUSED',
      message: expect.stringMatching(/"a" is damaged/) as unknown,
    });
  });
});
