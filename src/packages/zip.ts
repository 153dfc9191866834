/** Zips whose bytes depend on the names and contents of the files only. */
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

/** The earliest time that a zip can hold, in the local time zone that the format means. */
const NO_TIME = new Date(1980, 0, 1);

export interface ZipEntry {
  /** The file to read. */
  readonly path: string;
  /** Its name in the zip, with slashes. */
  readonly name: string;
}

/** Writes the entries in the order given. */
export async function writeZip(target: string, entries: readonly ZipEntry[]): Promise<void> {
  const { ZipFile } = await import('yazl');
  const zip = new ZipFile();
  for (const { path, name } of entries) {
    const executable = ((await stat(path)).mode & 0o100) !== 0;
    zip.addFile(path, name, {
      mtime: NO_TIME,
      mode: executable ? 0o100755 : 0o100644,
      forceDosTimestamp: true,
    });
  }
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(target, { mode: 0o600 }));
}
