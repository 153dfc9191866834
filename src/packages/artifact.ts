/** What a build made, as one archive. */
import { copyFile, lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';

import { FissiumError } from '../errors.ts';
import { writeZip, type ZipEntry } from './zip.ts';

const FILES_LIMIT = 50_000;

export interface ArtifactOptions {
  /** Whether a single file stays as it is, instead of becoming a zip with one entry. */
  readonly keepFile: boolean;
}

/**
 * Writes the archive of a file or a folder. Links to files inside become copies, since archives with links are
 * refused wherever they are unpacked.
 * @throws FissiumError BUILD_FAILED where there is nothing, too much, or a link that leads outside
 */
export async function packArtifact(
  path: string,
  target: string,
  { keepFile }: ArtifactOptions,
): Promise<void> {
  const kind = await stat(path).catch(() => undefined);
  if (kind === undefined) {
    throw failed('the build made nothing: its result is to be put at $DEPLOY_PKG, a file or a folder');
  }
  if (kind.isFile()) {
    if (keepFile) await copyFile(path, target);
    else await writeZip(target, [{ path, name: basename(path) }]);
    return;
  }
  const root = await realpath(path);
  const entries: ZipEntry[] = [];
  await collect(root, root, entries, new Set([root]));
  if (entries.length === 0) throw failed('the build made an empty folder');
  // In one order: the same files are the same archive.
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  await writeZip(target, entries);
}

async function collect(
  root: string,
  folder: string,
  entries: ZipEntry[],
  above: ReadonlySet<string>,
  prefix = '',
): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const entryName = `${prefix}${name}`;
    const info = await lstat(path);
    const target = info.isSymbolicLink() ? await insideOf(root, path) : path;
    const kind = info.isSymbolicLink() ? await stat(target) : info;
    if (kind.isDirectory()) {
      // A link to a folder that holds it would never end.
      if (above.has(target)) continue;
      await collect(root, target, entries, new Set([...above, target]), `${entryName}/`);
    } else if (kind.isFile()) {
      if (entries.length >= FILES_LIMIT) throw failed(`the build made more than ${FILES_LIMIT} files`);
      entries.push({ path: target, name: entryName });
    }
  }
}

async function insideOf(root: string, link: string): Promise<string> {
  const shown = relative(root, link);
  const target = await realpath(link).catch(() => undefined);
  if (target === undefined) throw failed(`the link ${shown} leads nowhere`);
  if (target !== root && !target.startsWith(root + sep))
    throw failed(`the link ${shown} leads outside of the result`);
  return target;
}

function failed(why: string): FissiumError {
  return new FissiumError('BUILD_FAILED', `What was built cannot be used: ${why}.`);
}
