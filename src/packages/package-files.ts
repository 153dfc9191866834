/** The files that a package brings along with its .wasm: what its functions find below `/`, read-only. */
import { packFiles, type FileToPack } from '../../runtimes/wasm/wasi/filesystem/file-set.ts';
import type { GuestFileSet } from '../../runtimes/wasm/engine.ts';
import type { StoredArchive } from './archives.ts';
import { isLitter, isModule, isZip, readEntry, refused, withZip } from './unpack.ts';

const MIB = 1024 * 1024;
/** All of them together, unpacked: they are held in memory for as long as the package is deployed. */
export const PACKAGE_FILES_LIMIT_BYTES = 64 * MIB;
/** What a guest can name: see `FILE_NAME_BYTES_CAP` and `FILE_PATH_BYTES_CAP` of the WASI host. */
const NAME_LIMIT_BYTES = 255;
const PATH_LIMIT_BYTES = 4096;

/**
 * All files of an archive but its .wasm files; null where there are none.
 * @throws FissiumError ARCHIVE_REFUSED where they are too large, or named so that no guest could open them
 */
export async function readPackageFiles(archive: StoredArchive): Promise<GuestFileSet | null> {
  if (!(await isZip(archive))) return null;
  return withZip(archive, async (zip, entries) => {
    const chosen = [...entries.values()].filter(({ fileName }) => !isModule(fileName) && !isLitter(fileName));
    const totalBytes = chosen.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
    if (totalBytes > PACKAGE_FILES_LIMIT_BYTES) {
      throw refused(
        `its files beside the .wasm have ${Math.ceil(totalBytes / MIB)} MiB together, and ${PACKAGE_FILES_LIMIT_BYTES / MIB} MiB are allowed, because functions read them from memory. Leave out what the function does not read, or fetch it over HTTP`,
      );
    }
    const files: FileToPack[] = [];
    for (const entry of chosen) {
      checkName(entry.fileName);
      const chunks: Buffer[] = [];
      for await (const chunk of readEntry(zip, entry)) chunks.push(chunk);
      const path = entry.fileName
        .split('/')
        .filter((part) => part !== '' && part !== '.')
        .join('/');
      // UTC, so that the same archive is the same set wherever it is read.
      const modifiedMs = entry.getLastModDate({ timezone: 'UTC' }).getTime();
      files.push({
        path,
        content: Buffer.concat(chunks),
        modifiedMs: Number.isFinite(modifiedMs) ? modifiedMs : 0,
      });
    }
    return packFiles(files);
  });
}

function checkName(path: string): void {
  const isTooLong =
    Buffer.byteLength(path) > PATH_LIMIT_BYTES ||
    path.split('/').some((name) => Buffer.byteLength(name) > NAME_LIMIT_BYTES);
  if (isTooLong || path.includes('\0')) {
    const why = isTooLong
      ? `a name may have ${NAME_LIMIT_BYTES} bytes, a path ${PATH_LIMIT_BYTES}`
      : 'a name may not hold a zero';
    throw refused(`its file ${JSON.stringify(path.slice(0, 100))} could not be opened by a function: ${why}`);
  }
}
