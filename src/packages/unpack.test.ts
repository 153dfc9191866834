import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';

import { FissiumError } from '../errors.ts';
import { ArchiveStore } from './archives.ts';
import { unpackWasm, type UnpackOptions } from './unpack.ts';

let folder: string;
let store: ArchiveStore;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-unpack-'));
  store = await ArchiveStore.open(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(async () => {
  // Whatever became of the archive, nothing extracted is left once it is disposed of.
  const left = await readdir(store.temporaryFolder);
  if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
});

const WASM = Buffer.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
const wasmNamed = (name: string): Buffer => Buffer.concat([WASM, Buffer.from(name)]);

type ZipEntry = { content?: Buffer; mode?: number };

async function zipOf(entries: Record<string, ZipEntry>): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, { content = wasmNamed(name), mode = 0o100644 }] of Object.entries(entries)) {
    if (name.endsWith('/')) zip.addEmptyDirectory(name);
    else zip.addBuffer(content, name, { mode });
  }
  zip.end();
  return buffer(zip.outputStream);
}

async function unpack(
  content: Uint8Array,
  options: Partial<UnpackOptions> = {},
): Promise<{ file: string; content: Buffer }> {
  const archive = await store.put(content);
  const wasm = await unpackWasm(archive, {
    entrypoint: '',
    entrypointOptional: false,
    temporaryFolder: store.temporaryFolder,
    ...options,
  });
  const found = await readFile(wasm.path);
  expect(createHash('sha256').update(found).digest('hex')).toBe(wasm.digest);
  await wasm.dispose();
  return { file: wasm.file, content: found };
}

const refusal = (message: RegExp): unknown =>
  expect.objectContaining({ code: 'ARCHIVE_REFUSED', message: expect.stringMatching(message) as unknown });

/** The same bytes with another text in place of one of the same length: names that no honest tool would write. */
function forge(zip: Buffer, from: string, to: string): Buffer {
  return Buffer.from(zip.toString('latin1').replaceAll(from, to), 'latin1');
}

describe('unpackWasm', () => {
  it('takes a bare .wasm as it is, whatever the entry point', async () => {
    expect(await unpack(WASM, { entrypoint: 'main' })).toEqual({ file: '', content: WASM });
    expect(await store.find(createHash('sha256').update(WASM).digest('hex'))).toBeDefined();
  });

  it.each<[string, string[], Partial<UnpackOptions>, string]>([
    ['the only .wasm', ['readme.md', 'src/', 'src/x.wasm'], {}, 'src/x.wasm'],
    ['the one named', ['a.wasm', 'b.wasm'], { entrypoint: 'b.wasm' }, 'b.wasm'],
    ['the one named without its ending', ['a.wasm', 'dir/b.wasm'], { entrypoint: './dir/b' }, 'dir/b.wasm'],
    ['a named file without the ending', ['a.wasm', 'plain'], { entrypoint: 'plain' }, 'plain'],
    ['the default name', ['a.wasm', 'function.wasm'], {}, 'function.wasm'],
    [
      'the whole package where the file may be missing',
      ['a.wasm'],
      { entrypoint: 'hello', entrypointOptional: true },
      'a.wasm',
    ],
    ['what is not a Mac leftover', ['a.wasm', '__MACOSX/._a.wasm', '._a.wasm'], {}, 'a.wasm'],
  ])('finds %s in a zip', async (_, names, options, expected) => {
    const zip = await zipOf(Object.fromEntries(names.map((name) => [name, {}])));
    expect(await unpack(zip, options)).toEqual({ file: expected, content: wasmNamed(expected) });
  });

  it.each<[string, string[], Partial<UnpackOptions>, RegExp]>([
    ['no .wasm', ['a.js', 'b.py'], {}, /holds no \.wasm file \(it holds 2 other files\)/],
    ['nothing', [], {}, /holds no \.wasm/],
    ['several and none named', ['a.wasm', 'b.wasm'], {}, /several \.wasm.*"a\.wasm", "b\.wasm".*entry point/],
    ['no file of the name', ['a.wasm'], { entrypoint: 'b' }, /no file "b"; its \.wasm files are "a\.wasm"/],
  ])('refuses a zip with %s, saying what is in it', async (_, names, options, message) => {
    const zip = await zipOf(Object.fromEntries(names.map((name) => [name, {}])));
    await expect(unpack(zip, options)).rejects.toEqual(refusal(message));
  });

  it.each([
    ['an empty file', Buffer.alloc(0), /it is empty/],
    ['text', Buffer.from('def main():\n  return "hi"'), /text \(source code/],
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0]), /gzip/],
    ['a native executable', Buffer.from('\x7fELF\x02\x01'), /ELF/],
    ['anything else', Buffer.from([1, 2, 3, 4, 200]), /unknown format \(it starts with 01020304c8\)/],
  ])('refuses %s', async (_, content, message) => {
    await expect(unpack(content)).rejects.toEqual(refusal(message));
  });

  it('refuses names that lead out of the zip', async () => {
    const zip = await zipOf({ 'a.wasm': {}, 'XXXYYYY/evil': {} });
    for (const name of ['../../../evil', '/etcccc/evil', 'x\\..\\..\\evil']) {
      await expect(unpack(forge(zip, 'XXXYYYY/evil', name.padEnd(12, 'l')))).rejects.toEqual(
        refusal(/cannot be read/),
      );
    }
  });

  it('refuses symbolic links and devices', async () => {
    const link = await zipOf({ 'a.wasm': { content: Buffer.from('/etc/passwd'), mode: 0o120777 } });
    await expect(unpack(link)).rejects.toEqual(refusal(/"a\.wasm" is a symbolic link/));
    const device = await zipOf({ 'a.wasm': {}, dev: { mode: 0o020666 } });
    await expect(unpack(device)).rejects.toEqual(refusal(/"dev" is no plain file/));
  });

  it('refuses bombs before unpacking them', async () => {
    const bomb = await zipOf({ 'a.wasm': {}, zeros: { content: Buffer.alloc(2 * 1024 * 1024) } });
    await expect(unpack(bomb)).rejects.toEqual(
      refusal(/"zeros" unpacks from \d+ to 2097152 bytes, over 200 times/),
    );
    // The count in the end-of-directory record is all that need be believed.
    const many = await zipOf({ 'a.wasm': {} });
    many.writeUInt16LE(10_001, many.lastIndexOf(Buffer.from('PK\x05\x06')) + 10);
    await expect(unpack(many)).rejects.toEqual(refusal(/10001 entries; 10000 are allowed/));
  });

  it('refuses two files of one name', async () => {
    const zip = forge(await zipOf({ 'a.wasm': {}, 'b.wasm': {} }), 'b.wasm', 'a.wasm');
    await expect(unpack(zip)).rejects.toEqual(refusal(/two files named "a\.wasm"/));
  });

  it('refuses an encrypted zip', async () => {
    const zip = await zipOf({ 'a.wasm': {} });
    // Bit 0 of the general purpose flags, in the local and the central header.
    const local = zip.indexOf(Buffer.from('PK\x03\x04'));
    const central = zip.indexOf(Buffer.from('PK\x01\x02'));
    zip[local + 6] = (zip[local + 6] ?? 0) | 1;
    zip[central + 8] = (zip[central + 8] ?? 0) | 1;
    await expect(unpack(zip)).rejects.toEqual(refusal(/"a\.wasm" is encrypted/));
  });

  it('refuses content that does not fit its checksum or its announced length', async () => {
    const zip = await zipOf({ 'a.wasm': {} });
    const central = zip.indexOf(Buffer.from('PK\x01\x02'));
    const wrongSum = Buffer.from(zip);
    wrongSum.writeUInt32LE(1, central + 16);
    await expect(unpack(wrongSum)).rejects.toEqual(refusal(/damaged: the checksum/));
    const tooLong = Buffer.from(zip);
    tooLong.writeUInt32LE(5, central + 24);
    await expect(unpack(tooLong)).rejects.toEqual(refusal(/cannot be read/));
  });

  it('never does anything but answer or refuse, whatever the bytes', async () => {
    const zip = await zipOf({ 'a.wasm': {}, 'dir/': {}, 'dir/b.txt': { content: Buffer.alloc(100, 'x') } });
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((tail) => Buffer.concat([Buffer.from('PK\x03\x04'), tail])),
      // A real zip with some bytes changed, or cut short.
      fc.array(fc.tuple(fc.nat(zip.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }).map((edits) => {
        const changed = Buffer.from(zip);
        for (const [at, value] of edits) changed[at] = value;
        return changed;
      }),
      fc.nat(zip.length).map((length) => zip.subarray(0, length)),
    );
    await fc.assert(
      fc.asyncProperty(hostile, fc.constantFrom('', 'a', 'dir/b.txt', '../x'), async (bytes, entrypoint) => {
        const outcome: unknown = await unpack(bytes, { entrypoint }).catch((error: unknown) => error);
        const code = outcome instanceof FissiumError ? outcome.code : outcome;
        expect(code).toSatisfy(
          (c: unknown) => c === 'ARCHIVE_REFUSED' || !(c instanceof Error || typeof c === 'string'),
        );
        expect(await readdir(store.temporaryFolder)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
