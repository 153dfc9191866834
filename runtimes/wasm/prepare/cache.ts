/**
 * Prepared packages on disk: `<cacheDir>/<digest>-<prepareVersion>/` with the modules, the script and
 * `manifest.json`. An entry appears by one rename of a whole, synced folder, so that `kill -9` leaves either
 * nothing or all of it; sizes and checksums find what a disk or a hand damaged.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { FissiumError } from '../../../src/errors.ts';
import type { PreparedManifest } from '../engine.ts';
import { PREPARE_VERSION } from './version.ts';

export interface EntryFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What `manifest.json` holds. */
interface StoredEntry {
  readonly manifest: PreparedManifest;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly crc32: number }>>;
}

const MANIFEST_FILE = 'manifest.json';
const TEMPORARY = '.tmp-';

export function entryFolder(cacheDir: string, digest: string): string {
  return join(cacheDir, `${digest}-${PREPARE_VERSION}`);
}

/** The entry's manifest; null where there is none, or none that is whole. */
export async function readEntry(cacheDir: string, digest: string): Promise<PreparedManifest | null> {
  const folder = entryFolder(cacheDir, digest);
  try {
    const entry = parseEntry(await readFile(join(folder, MANIFEST_FILE), 'utf8'), digest);
    if (entry === null) return null;
    const whole = await Promise.all(
      Object.entries(entry.files).map(async ([name, expected]) => {
        const file = join(folder, name);
        const { size } = await stat(file);
        return size === expected.bytes && crc32(await readFile(file)) === expected.crc32;
      }),
    );
    return whole.every(Boolean) ? entry.manifest : null;
  } catch {
    // Missing or unreadable: prepared again, and if the disk is at fault, writing will say so.
    return null;
  }
}

function parseEntry(text: string, digest: string): StoredEntry | null {
  const entry = JSON.parse(text) as Partial<StoredEntry> | null;
  const manifest = entry?.manifest;
  if (!manifest || !entry.files || manifest.digest !== digest || manifest.prepareVersion !== PREPARE_VERSION)
    return null;
  const { files } = entry;
  const named = [
    ...manifest.modules.map(({ file }) => file),
    ...[manifest.script, manifest.plan].filter((name) => name !== undefined),
  ];
  return named.every((name) => name in files) ? { manifest, files } : null;
}

/**
 * Writes an entry, in place of what may be there.
 * @throws FissiumError STORAGE_FULL where the disk has no room
 */
export async function writeEntry(
  cacheDir: string,
  manifest: PreparedManifest,
  files: readonly EntryFile[],
): Promise<void> {
  const folder = entryFolder(cacheDir, manifest.digest);
  const temporary = join(cacheDir, `${TEMPORARY}${randomUUID()}`);
  try {
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    for (const { name, bytes } of files) await writeSynced(join(temporary, name), bytes);
    const entry: StoredEntry = {
      manifest,
      files: Object.fromEntries(
        files.map(({ name, bytes }) => [name, { bytes: bytes.length, crc32: crc32(bytes) }]),
      ),
    };
    await writeSynced(join(temporary, MANIFEST_FILE), Buffer.from(`${JSON.stringify(entry, null, 2)}\n`));
    await syncFolder(temporary);
    await rm(folder, { recursive: true, force: true });
    await rename(temporary, folder);
    await syncFolder(cacheDir);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new FissiumError(
        'STORAGE_FULL',
        `no room for the prepared package in ${cacheDir}: free some and deploy again`,
        {
          cause: error,
        },
      );
    }
    throw error;
  }
}

/** Removes what processes that were killed left half written. Only the one process that owns the cache may call it. */
export async function removeLeftovers(cacheDir: string): Promise<void> {
  await mkdir(cacheDir, { recursive: true, mode: 0o700 });
  const names = await readdir(cacheDir);
  const leftovers = names.filter((name) => name.startsWith(TEMPORARY));
  await Promise.all(leftovers.map((name) => rm(join(cacheDir, name), { recursive: true, force: true })));
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A rename is only kept by a crash once the folder that holds the name is synced. Windows cannot, and need not. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
