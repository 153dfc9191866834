/** Archives as the CLI makes them: a file as it is, several files as a zip, a URL, an OCI image. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { glob, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { Package } from '../api/index.ts';
import type { CommandContext } from './command.ts';
import { CliError, messageOf } from './errors.ts';
import { upload } from './storage.ts';
import { writeZip, type ZipEntry } from '../packages/zip.ts';

/** An archive smaller than this stands in the Package itself, as Fission does it. */
export const LITERAL_LIMIT_BYTES = 256 * 1024;
const MIB = 1024 * 1024;
/** What the storage service takes at most; asked here first, before the file travels. */
const ARCHIVE_LIMIT_BYTES = 256 * MIB;

export type ArchiveSpec = NonNullable<Package['spec']['deployment']>;

/** A file on this machine that becomes an archive. */
export interface LocalArchive {
  readonly file: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Removes what was made for it (a zip). */
  dispose(): Promise<void>;
}

export function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text);
}

/** One file, as it is. Fails where there is none, or where it is empty. */
export async function singleFile(path: string, cwd: string): Promise<LocalArchive> {
  return local(resolve(cwd, path), async () => {});
}

/**
 * What the patterns match below `root`. A single file stays as it is, everything else becomes a zip whose bytes
 * depend on names and contents only, so that the same files always have the same checksum.
 */
export async function filesArchive(
  patterns: readonly string[],
  root: string,
  excluded: readonly string[] = [],
): Promise<LocalArchive> {
  const files = await matchFiles(patterns, root, excluded);
  const [only] = files;
  if (only === undefined) {
    throw new CliError(`nothing matches ${patterns.join(', ')}`, { why: `looked in ${root}` });
  }
  if (files.length === 1 && patterns.length === 1 && (await isFile(resolve(root, patterns[0] ?? '')))) {
    return local(only, async () => {});
  }
  const folder = await mkdtemp(join(tmpdir(), 'fissium-archive-'));
  const remove = async (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const zip = join(folder, 'archive.zip');
    await writeZip(zip, await namedIn(patterns, root, new Set(files)));
    return await local(zip, remove);
  } catch (error) {
    await remove();
    throw error;
  }
}

/** The archive for a Package: the bytes themselves if they are few, else uploaded to the storage service. */
export async function toArchiveSpec(context: CommandContext, archive: LocalArchive): Promise<ArchiveSpec> {
  const checksum = { type: 'sha256', sum: archive.sha256 };
  if (archive.bytes < LITERAL_LIMIT_BYTES) {
    return { type: 'literal', literal: (await readFile(archive.file)).toString('base64'), checksum };
  }
  if (archive.bytes > ARCHIVE_LIMIT_BYTES) {
    throw new CliError(`${archive.file} is too large`, {
      why: `it has ${Math.ceil(archive.bytes / MIB)} MiB; an archive may have ${ARCHIVE_LIMIT_BYTES / MIB} MiB`,
      fix: 'leave debug information and what is not needed out of it',
    });
  }
  const url = await upload(await context.connect(), context.out, archive);
  return { type: 'url', url, checksum };
}

/** An archive that stays where it is. It is read once for its checksum, unless one is given or none is wanted. */
export async function urlArchive(
  context: CommandContext,
  url: string,
  checksum: string | undefined,
  insecure: boolean,
): Promise<ArchiveSpec> {
  if (checksum !== undefined) return { type: 'url', url, checksum: { type: 'sha256', sum: checksum } };
  if (insecure) return { type: 'url', url };
  const progress = context.out.progress(`downloading ${url} for its checksum`);
  try {
    const response = await fetch(url);
    if (!response.ok || response.body === null)
      throw new Error(`it answers ${response.status} ${response.statusText}`);
    const hash = createHash('sha256');
    for await (const chunk of response.body) hash.update(chunk);
    return { type: 'url', url, checksum: { type: 'sha256', sum: hash.digest('hex') } };
  } catch (error) {
    throw new CliError(`cannot read ${url}`, {
      why: messageOf(error),
      fix: 'give its sha256 with --deploychecksum, or skip the check with --insecure',
      cause: error,
    });
  } finally {
    progress.end();
  }
}

/** All files that the patterns (paths, folders, globs) match, sorted, without what the others exclude. */
export async function matchFiles(
  patterns: readonly string[],
  root: string,
  excluded: readonly string[] = [],
): Promise<string[]> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    const path = isAbsolute(pattern) ? pattern : join(root, pattern);
    // A path that exists is meant as it is, whatever characters are in its name.
    const kind = await stat(path).catch(() => undefined);
    if (kind?.isFile() === true) found.add(path);
    else if (kind?.isDirectory() === true) await addFolder(path, found);
    else {
      for await (const match of glob(pattern, { cwd: root })) {
        const matched = resolve(root, match);
        if ((await stat(matched)).isDirectory()) await addFolder(matched, found);
        else found.add(matched);
      }
    }
  }
  for (const pattern of excluded) {
    for await (const match of glob(pattern, { cwd: root })) {
      const path = resolve(root, match);
      for (const file of found) if (file === path || file.startsWith(path + sep)) found.delete(file);
    }
  }
  return [...found].sort();
}

async function addFolder(folder: string, into: Set<string>): Promise<void> {
  for await (const match of glob('**/*', { cwd: folder })) {
    const path = join(folder, match);
    if (await isFile(path)) into.add(path);
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

/**
 * Names in a zip as Fission makes them: what a pattern matches lies at the top, a folder with its name around it
 * unless it is given with a slash behind it.
 */
async function namedIn(
  patterns: readonly string[],
  root: string,
  chosen: ReadonlySet<string>,
): Promise<ZipEntry[]> {
  const names = new Map<string, string>();
  for (const pattern of patterns) {
    for (const match of await matchesOf(pattern, root)) {
      const base = /[/\\]$/.test(pattern) ? match : dirname(match);
      for (const file of await matchFiles([match], root)) {
        if (!chosen.has(file)) continue;
        const name = relative(base, file).split(sep).join('/');
        const other = names.get(name);
        if (other !== undefined && other !== file) {
          throw new CliError(`two files would be ${name} in the archive`, {
            why: `${other} and ${file}`,
            fix: 'name the folder that holds both',
          });
        }
        names.set(name, file);
      }
    }
  }
  const entries = [...names].map(([name, path]) => ({ name, path }));
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The files and folders that a pattern itself matches. */
async function matchesOf(pattern: string, root: string): Promise<string[]> {
  const path = isAbsolute(pattern) ? pattern : join(root, pattern);
  if ((await stat(path).catch(() => undefined)) !== undefined) return [resolve(path)];
  const matches: string[] = [];
  for await (const match of glob(pattern, { cwd: root })) matches.push(resolve(root, match));
  return matches;
}

async function local(file: string, dispose: () => Promise<void>): Promise<LocalArchive> {
  const info = await stat(file).catch((error: unknown) => {
    throw new CliError(`cannot read ${file}`, { why: messageOf(error), cause: error });
  });
  if (!info.isFile()) {
    throw new CliError(`${file} is not a file`, {
      fix: 'name one file with --code, or a folder with --deploy',
    });
  }
  if (info.size === 0)
    throw new CliError(`${file} is empty (0 bytes)`, { fix: 'was it built? name the built file' });
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return { file, bytes: info.size, sha256: hash.digest('hex'), dispose };
}

/** A name for an ArchiveUploadSpec, from what is in it. */
export function archiveName(patterns: readonly string[]): string {
  const base = basename(patterns[0] ?? 'archive')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  const hash = createHash('sha256').update(patterns.join('\n')).digest('hex').slice(0, 4);
  return `${base === '' ? 'archive' : base}-${hash}`;
}
