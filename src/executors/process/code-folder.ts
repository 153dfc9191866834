/** Puts a function's archive where its process loads it from: a zip unpacked, anything else as the one file. */
import { copyFile, mkdir, open, writeFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import type { Entry, ZipFile } from 'yauzl';

import { FissiumError } from '../../errors.ts';

const ENTRIES_LIMIT = 20_000;
const TOTAL_LIMIT_BYTES = 1024 * 1024 * 1024;
const RATIO_LIMIT = 200;
const RATIO_FREE_BYTES = 1024 * 1024;
/** Fission's name for what a function of environment version 2 and 3 is loaded from. */
const CODE = 'deployarchive';

/**
 * @returns the path to specialise with: a folder for a zip, else a file
 * @throws FissiumError ARCHIVE_REFUSED with the reason
 */
export async function placeCode(archivePath: string, folder: string): Promise<string> {
  const code = join(folder, CODE);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Node takes a file's kind from the next package.json upward: none of the platform's folders may say it.
  await writeFile(join(folder, 'package.json'), '{}');
  const start = await readStart(archivePath);
  if (isZip(start)) await unzip(archivePath, code);
  else if (start[0] === 0x1f && start[1] === 0x8b) throw refused('it is a gzip file (.tar.gz?); use a zip');
  else if (start.length === 0) throw refused('it is empty');
  else await copyFile(archivePath, code);
  return code;
}

async function unzip(path: string, folder: string): Promise<void> {
  const { openPromise } = await import('yauzl');
  let zip: ZipFile | undefined;
  try {
    zip = await openPromise(path, { strictFileNames: true, validateEntrySizes: true, autoClose: false });
    if (zip.entryCount > ENTRIES_LIMIT) {
      throw refused(`the zip has ${zip.entryCount} entries; ${ENTRIES_LIMIT} are allowed`);
    }
    const entries: Entry[] = [];
    let totalBytes = 0;
    for await (const entry of zip.eachEntry()) {
      checkEntry(entry);
      totalBytes += entry.uncompressedSize;
      if (totalBytes > TOTAL_LIMIT_BYTES) {
        throw refused(`the zip unpacks to more than ${TOTAL_LIMIT_BYTES / 1024 / 1024} MiB`);
      }
      entries.push(entry);
    }
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const entry of entries) await extract(zip, entry, folder);
  } catch (error) {
    if (error instanceof FissiumError) throw error;
    throw refused(`the zip cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
  } finally {
    zip?.close();
  }
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
    throw refused(`the zip's entry ${name} is compressed in a way that is not supported; use deflate`);
  }
  const { uncompressedSize, compressedSize } = entry;
  if (uncompressedSize > RATIO_FREE_BYTES && uncompressedSize > compressedSize * RATIO_LIMIT) {
    throw refused(`the zip's entry ${name} unpacks to over ${RATIO_LIMIT} times its size`);
  }
}

async function extract(zip: ZipFile, entry: Entry, folder: string): Promise<void> {
  const path = join(folder, entry.fileName);
  if (entry.fileName.endsWith('/')) {
    await mkdir(path, { recursive: true, mode: 0o700 });
    return;
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const isExecutable = ((entry.externalFileAttributes >>> 16) & 0o111) !== 0;
  const content = await zip.openReadStreamPromise(entry);
  // wx: two entries of one name are refused.
  await pipeline(content, createWriteStream(path, { flags: 'wx', mode: isExecutable ? 0o700 : 0o600 }));
}

async function readStart(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function isZip([a, b, c, d]: Uint8Array): boolean {
  return a === 0x50 && b === 0x4b && ((c === 3 && d === 4) || (c === 5 && d === 6));
}

function refused(why: string, cause?: unknown): FissiumError {
  return new FissiumError(
    'ARCHIVE_REFUSED',
    `The archive cannot be used: ${why}.`,
    cause === undefined ? {} : { cause },
  );
}
