/** Reads archives: a .wasm, or a zip with one and with other files. */
import { createHash, randomUUID } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

import type { Entry, ZipFile } from 'yauzl';

import { FissiumError } from '../errors.ts';
import { ARCHIVE_LIMIT_BYTES, asStorageError, type StoredArchive } from './archives.ts';

export interface UnpackOptions {
  /** File in the package to take, with or without `.wasm`; '' for none named. */
  readonly entrypoint: string;
  /** Whether the whole package is taken where it holds no such file. */
  readonly entrypointOptional: boolean;
  /** Where an extracted file is put. */
  readonly temporaryFolder: string;
}

/** A .wasm on disk. */
export interface WasmFile {
  readonly path: string;
  /** sha256 of the .wasm, hex. */
  readonly digest: string;
  /** Its name in the zip; '' where the archive is the .wasm. */
  readonly file: string;
  /** Removes what was extracted. */
  dispose(): Promise<void>;
}

/** The zip holds several .wasm files, and nothing says which one is meant. */
export class SeveralModulesError extends FissiumError {}

const ENTRIES_LIMIT = 10_000;
/** All files of a zip together, unpacked. */
const TOTAL_LIMIT_BYTES = 1024 * 1024 * 1024;
/** Larger files that shrink to less than this part are a bomb: compiled code shrinks to a tenth at best. */
const RATIO_LIMIT = 200;
const RATIO_FREE_BYTES = 1024 * 1024;
/** Taken where several files end in .wasm and none is named. */
const DEFAULT_NAMES = ['function.wasm', 'main.wasm', 'component.wasm', 'index.wasm'];

/**
 * The .wasm that an archive stands for. The caller disposes of it.
 * @throws FissiumError ARCHIVE_REFUSED with the reason
 */
export async function unpackWasm(archive: StoredArchive, options: UnpackOptions): Promise<WasmFile> {
  const magic = await readStart(archive.path);
  if (startsWith(magic, [0x00, 0x61, 0x73, 0x6d])) {
    return { path: archive.path, digest: archive.digest, file: '', dispose: () => Promise.resolve() };
  }
  if (startsWithZip(magic)) {
    return fromZip(archive, options);
  }
  throw refused(`it is ${describe(magic)}. Supported are a .wasm file and a zip with one`);
}

async function fromZip(archive: StoredArchive, options: UnpackOptions): Promise<WasmFile> {
  return withZip(archive, (zip, entries) => extract(zip, choose(entries, options), options.temporaryFolder));
}

/** Whether the archive is a zip, by its first bytes. */
export async function isZip(archive: { readonly path: string }): Promise<boolean> {
  return startsWithZip(await readStart(archive.path));
}

function startsWithZip(magic: Uint8Array): boolean {
  return startsWith(magic, [0x50, 0x4b, 0x03, 0x04]) || startsWith(magic, [0x50, 0x4b, 0x05, 0x06]);
}

/**
 * Opens a zip, checks what its entries say of themselves, and gives them to `use`: files by their names, and the
 * names of folders.
 * @throws FissiumError ARCHIVE_REFUSED with the reason, STORAGE_FULL
 */
export async function withZip<T>(
  archive: { readonly path: string },
  use: (zip: ZipFile, files: ReadonlyMap<string, Entry>, folders: readonly string[]) => Promise<T>,
  entriesLimit = ENTRIES_LIMIT,
): Promise<T> {
  const { openPromise } = await import('yauzl');
  let zip: ZipFile | undefined;
  try {
    zip = await openPromise(archive.path, {
      strictFileNames: true,
      validateEntrySizes: true,
      autoClose: false,
    });
    const { files, folders } = await readEntries(zip, entriesLimit);
    return await use(zip, files, folders);
  } catch (error) {
    if (error instanceof FissiumError) throw error;
    const storage = asStorageError(error);
    if (storage !== error) throw storage;
    throw refused(`the zip cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
  } finally {
    zip?.close();
  }
}

/** All files of the zip, each checked by what its header says. */
async function readEntries(
  zip: ZipFile,
  entriesLimit: number,
): Promise<{ files: Map<string, Entry>; folders: string[] }> {
  if (zip.entryCount > entriesLimit)
    throw refused(`the zip has ${zip.entryCount} entries; ${entriesLimit} are allowed`);
  const files = new Map<string, Entry>();
  const folders: string[] = [];
  let totalBytes = 0;
  for await (const entry of zip.eachEntry()) {
    const name = entry.fileName;
    checkEntry(entry);
    totalBytes += entry.uncompressedSize;
    if (totalBytes > TOTAL_LIMIT_BYTES) {
      throw refused(`the zip unpacks to more than ${TOTAL_LIMIT_BYTES / 1024 / 1024} MiB`);
    }
    if (name.endsWith('/')) {
      folders.push(name);
      continue;
    }
    if (files.has(name)) throw refused(`the zip has two files named ${JSON.stringify(name)}`);
    files.set(name, entry);
  }
  return { files, folders };
}

/** yauzl itself refuses absolute names, `..` and backslashes, and contents that are not as long as announced. */
function checkEntry(entry: Entry): void {
  const name = JSON.stringify(entry.fileName);
  const unixType = (entry.externalFileAttributes >>> 16) & 0o170_000;
  if (unixType !== 0 && unixType !== 0o100_000 && unixType !== 0o040_000) {
    throw refused(
      `the zip's entry ${name} is ${unixType === 0o120_000 ? 'a symbolic link' : 'no plain file'}`,
    );
  }
  if (entry.isEncrypted()) throw refused(`the zip's entry ${name} is encrypted`);
  if (!entry.fileName.endsWith('/') && !entry.canDecodeFileData()) {
    throw refused(
      `the zip's entry ${name} is compressed in a way that is not supported (method ${entry.compressionMethod}); use deflate`,
    );
  }
  if (
    entry.uncompressedSize > RATIO_FREE_BYTES &&
    entry.uncompressedSize > entry.compressedSize * RATIO_LIMIT
  ) {
    throw refused(
      `the zip's entry ${name} unpacks from ${entry.compressedSize} to ${entry.uncompressedSize} bytes, over ${RATIO_LIMIT} times`,
    );
  }
}

function choose(files: ReadonlyMap<string, Entry>, { entrypoint, entrypointOptional }: UnpackOptions): Entry {
  const wasm = [...files.keys()].filter((name) => isModule(name) && !isLitter(name));
  if (entrypoint !== '') {
    const plain = entrypoint.replace(/^(\.?\/)+/, '');
    const named = files.get(plain) ?? files.get(`${plain}.wasm`);
    if (named !== undefined) return named;
    if (!entrypointOptional) {
      throw refused(`it holds no file ${JSON.stringify(entrypoint)}; ${listing(wasm)}`);
    }
  }
  const only = wasm.length === 1 ? wasm[0] : DEFAULT_NAMES.find((name) => files.has(name));
  const entry = only === undefined ? undefined : files.get(only);
  if (entry !== undefined) return entry;
  if (wasm.length === 0) throw refused(`the zip holds no .wasm file (it holds ${files.size} other files)`);
  throw new SeveralModulesError(
    'ARCHIVE_REFUSED',
    `The archive holds several .wasm files and none is named ${DEFAULT_NAMES.join(', ')}; ${listing(wasm)}. Name one as the function's entry point.`,
  );
}

export function isModule(name: string): boolean {
  return /\.wasm$/i.test(name);
}

/** What macOS puts beside the files of a zip. */
export function isLitter(name: string): boolean {
  return /(^|\/)(__MACOSX\/|\._)/.test(name);
}

function listing(wasm: readonly string[]): string {
  if (wasm.length === 0) return 'it holds no .wasm file';
  const shown = wasm.slice(0, 10).map((name) => JSON.stringify(name));
  return `its .wasm files are ${shown.join(', ')}${wasm.length > shown.length ? ', …' : ''}`;
}

async function extract(zip: ZipFile, entry: Entry, folder: string): Promise<WasmFile> {
  const name = JSON.stringify(entry.fileName);
  if (entry.uncompressedSize > ARCHIVE_LIMIT_BYTES) {
    throw refused(`its file ${name} is larger than ${ARCHIVE_LIMIT_BYTES / 1024 / 1024} MiB`);
  }
  const path = join(folder, `${randomUUID()}.wasm`);
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600);
  try {
    try {
      for await (const chunk of readEntry(zip, entry)) {
        hash.update(chunk);
        await file.writeFile(chunk);
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
  return {
    path,
    digest: hash.digest('hex'),
    file: entry.fileName,
    dispose: () => rm(path, { force: true }),
  };
}

/** The content of an entry, in pieces; fails at its end where it is damaged. */
export async function* readEntry(zip: ZipFile, entry: Entry): AsyncGenerator<Buffer> {
  let checksum = 0;
  for await (const chunk of (await zip.openReadStreamPromise(entry)) as AsyncIterable<Buffer>) {
    checksum = crc32(chunk, checksum);
    yield chunk;
  }
  // yauzl leaves this to its user.
  if (checksum !== entry.crc32) {
    throw refused(`its file ${JSON.stringify(entry.fileName)} is damaged: the checksum does not fit`);
  }
}

async function readStart(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function startsWith(bytes: Uint8Array, start: readonly number[]): boolean {
  return start.every((byte, i) => bytes[i] === byte);
}

function describe(start: Uint8Array): string {
  if (start.length === 0) return 'empty';
  if (startsWith(start, [0x1f, 0x8b])) return 'a gzip file (.tar.gz?)';
  if (startsWith(start, [0x7f, 0x45, 0x4c, 0x46])) return 'a native executable (ELF)';
  if (startsWith(start, [0x42, 0x5a, 0x68]) || startsWith(start, [0xfd, 0x37, 0x7a]))
    return 'a compressed file that is not a zip';
  const isText = start.every((byte) => byte >= 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09);
  return isText
    ? 'text (source code is not built yet)'
    : `of an unknown format (it starts with ${Buffer.from(start.subarray(0, 8)).toString('hex')})`;
}

export function refused(why: string, cause?: unknown): FissiumError {
  return new FissiumError(
    'ARCHIVE_REFUSED',
    `The archive cannot be used: ${why}.`,
    cause === undefined ? {} : { cause },
  );
}
