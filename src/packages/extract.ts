/** Puts an archive where a runtime or a builder finds it: a zip as a folder, anything else as the one file. */
import { copyFile, mkdir, open, rename, rm } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import type { Entry, ZipFile } from 'yauzl';

import { isZip, readEntry, refused, withZip } from './unpack.ts';

/** Files of a folder that a zip may have: what npm installs is many. */
const ENTRIES_LIMIT = 50_000;

export interface ExtractOptions {
  /** Whether other users than this process's may read what is written, as other containers of a pod. @default false */
  readonly shared?: boolean;
  /** Whether a zip stays one (Fission's `keeparchive`). @default false */
  readonly keepArchive?: boolean;
}

/**
 * Nothing is at `target` before all of it is.
 * @throws FissiumError ARCHIVE_REFUSED with the reason, STORAGE_FULL
 */
export async function extractArchive(
  archivePath: string,
  target: string,
  { shared = false, keepArchive = false }: ExtractOptions = {},
): Promise<void> {
  const [folderMode, fileMode] = shared ? [0o755, 0o644] : [0o700, 0o600];
  const fresh = `${target}.new`;
  await rm(fresh, { recursive: true, force: true });
  try {
    if (!keepArchive && (await isZip({ path: archivePath }))) {
      await unzip(archivePath, fresh, folderMode, fileMode);
    } else {
      if (!keepArchive) await refuseOthers(archivePath);
      await copyFile(archivePath, fresh);
    }
    await rename(fresh, target);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
}

/** Archives that people make instead of zips, and that would be loaded as if they were code. */
async function refuseOthers(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    if (bytesRead === 0) throw refused('it is empty');
    if (buffer[0] === 0x1f && buffer[1] === 0x8b) throw refused('it is a gzip file (.tar.gz?); use a zip');
  } finally {
    await file.close();
  }
}

async function unzip(path: string, folder: string, folderMode: number, fileMode: number): Promise<void> {
  await mkdir(folder, { recursive: true, mode: folderMode });
  const made = new Set([folder]);
  const makeFolder = async (name: string): Promise<void> => {
    if (made.has(name)) return;
    await mkdir(name, { recursive: true, mode: folderMode });
    made.add(name);
  };
  await withZip(
    { path },
    async (zip, files, folders) => {
      for (const name of folders) await makeFolder(join(folder, name));
      for (const entry of files.values()) {
        const target = join(folder, entry.fileName);
        await makeFolder(dirname(target));
        await writeEntry(zip, entry, target, fileMode);
      }
    },
    ENTRIES_LIMIT,
  );
}

async function writeEntry(zip: ZipFile, entry: Entry, target: string, fileMode: number): Promise<void> {
  const isExecutable = ((entry.externalFileAttributes >>> 16) & 0o111) !== 0;
  const mode = isExecutable ? fileMode | ((fileMode >> 2) & 0o111) : fileMode;
  // wx: a file that is a folder's name as well is refused.
  await pipeline(readEntry(zip, entry), createWriteStream(target, { flags: 'wx', mode }));
}
