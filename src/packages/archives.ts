import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { FissiumError } from '../errors.ts';
import { KeyedMutex } from './mutex.ts';

/** Largest archive taken anywhere, bytes. */
export const ARCHIVE_LIMIT_BYTES = 256 * 1024 * 1024;

const DIGEST = /^[0-9a-f]{64}$/;

/** Content that was written down and hashed, and is not in any store yet. */
export interface SpooledArchive {
  readonly path: string;
  /** sha256 of the content, hex. */
  readonly digest: string;
  readonly sizeBytes: number;
}

/** One archive in the store. */
export interface StoredArchive {
  /** sha256 of the content, hex. */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly path: string;
}

export interface PutOptions {
  /** @default ARCHIVE_LIMIT_BYTES */
  readonly limitBytes?: number;
  /** sha256 that the content must have, hex. */
  readonly digest?: string;
  /** Length that the content must have. */
  readonly sizeBytes?: number;
  /** Named in messages, e.g. the URL that the content came from. */
  readonly what?: string;
}

/**
 * Archives by the sha256 of their content, each one file in a folder. What `put` resolved with is on disk and
 * complete after a crash or a power cut; a half written archive never appears under its digest.
 */
export class ArchiveStore {
  readonly folder: string;
  /** A file that is being replaced must not be removed for the age of the one before. */
  readonly #changes = new KeyedMutex();

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes the folder if need be, and removes what an earlier process left half written. */
  static async open(folder: string): Promise<ArchiveStore> {
    await rm(join(folder, TEMPORARY), { recursive: true, force: true });
    await mkdir(join(folder, TEMPORARY), { recursive: true, mode: 0o700 });
    await mkdir(join(folder, PINS), { recursive: true, mode: 0o700 });
    return new ArchiveStore(folder);
  }

  /** A folder on the same file system for files that need not outlive the process. */
  get temporaryFolder(): string {
    return join(this.folder, TEMPORARY);
  }

  /**
   * Stores content; the same content twice is one file, whose time is that of the last.
   * @throws FissiumError BODY_TOO_LARGE, ARCHIVE_REFUSED (other digest or length), STORAGE_FULL; or what the source threw
   */
  async put(
    content: Uint8Array | AsyncIterable<Uint8Array>,
    options: PutOptions = {},
  ): Promise<StoredArchive> {
    return this.adopt(await spoolArchive(this.temporaryFolder, content, options));
  }

  /** Stores what was spooled to {@link temporaryFolder}. @throws FissiumError STORAGE_FULL */
  async adopt(spooled: SpooledArchive): Promise<StoredArchive> {
    const { digest, sizeBytes } = spooled;
    const path = this.path(digest);
    try {
      await this.#changes.run(digest, () => rename(spooled.path, path));
      await syncFolder(this.folder);
      return { digest, sizeBytes, path };
    } catch (error) {
      await rm(spooled.path, { force: true });
      throw asStorageError(error);
    }
  }

  /** The archive of that digest, or undefined; also for anything that is no digest. */
  async find(digest: string): Promise<StoredArchive | undefined> {
    if (!DIGEST.test(digest)) return undefined;
    const path = this.path(digest);
    try {
      const { size } = await stat(path);
      return { digest, sizeBytes: size, path };
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Like `find`, and reads it to see that its content is still the right one; removes it if not. */
  async findIntact(digest: string): Promise<StoredArchive | undefined> {
    const found = await this.find(digest);
    if (found === undefined) return undefined;
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(found.path) as AsyncIterable<Buffer>) hash.update(chunk);
    if (hash.digest('hex') === digest) return found;
    await this.remove(digest);
    return undefined;
  }

  /** Where the archive of a digest lies. */
  path(digest: string): string {
    if (!DIGEST.test(digest)) throw new Error(`${JSON.stringify(digest)} is no sha256`);
    return join(this.folder, digest);
  }

  read(digest: string): ReadStream {
    return createReadStream(this.path(digest));
  }

  /** Whether there was such an archive. */
  async remove(digest: string): Promise<boolean> {
    return this.removeOlder(digest, Infinity);
  }

  /** Removes the archive unless it was stored, or stored again, since. @param thanMs milliseconds since 1970 */
  async removeOlder(digest: string, thanMs: number): Promise<boolean> {
    if (!DIGEST.test(digest)) return false;
    return this.#changes.run(digest, async () => {
      const storedMs = await this.storedAt(digest);
      if (storedMs === undefined || storedMs >= thanMs) return false;
      await rm(this.path(digest), { force: true });
      return true;
    });
  }

  /** When the archive was stored last, milliseconds since 1970. */
  async storedAt(digest: string): Promise<number | undefined> {
    try {
      return (await stat(this.path(digest))).mtimeMs;
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  async list(): Promise<string[]> {
    return (await readdir(this.folder)).filter((name) => DIGEST.test(name));
  }

  /**
   * Remembers which archive a name stood for, so that a URL without a checksum is the same code after a restart,
   * with or without the network.
   */
  async pin(name: string, digest: string): Promise<void> {
    const temporary = join(this.temporaryFolder, randomUUID());
    try {
      await writeAndHash(temporary, Buffer.from(digest), 64, 'the pin');
      await rename(temporary, this.#pinPath(name));
      await syncFolder(join(this.folder, PINS));
    } catch (error) {
      await rm(temporary, { force: true });
      throw asStorageError(error);
    }
  }

  async pinned(name: string): Promise<string | undefined> {
    try {
      return await readFile(this.#pinPath(name), 'utf8');
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** The digests that names still stand for; pins of other names, where they are older, are forgotten. */
  async keepPins(names: Iterable<string>, thanMs: number): Promise<Set<string>> {
    const folder = join(this.folder, PINS);
    const kept = new Set([...names].map((name) => this.#pinPath(name)));
    const digests = new Set<string>();
    for (const file of await readdir(folder)) {
      const path = join(folder, file);
      const { mtimeMs } = await stat(path);
      if (kept.has(path) || mtimeMs >= thanMs) digests.add(await readFile(path, 'utf8'));
      else await rm(path, { force: true });
    }
    return digests;
  }

  #pinPath(name: string): string {
    return join(this.folder, PINS, createHash('sha256').update(name).digest('hex'));
  }
}

/**
 * Writes content to a file of the folder, and checks it. The caller stores or removes the file.
 * @throws FissiumError BODY_TOO_LARGE, ARCHIVE_REFUSED (other digest or length), STORAGE_FULL; or what the source threw
 */
export async function spoolArchive(
  folder: string,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  options: PutOptions = {},
): Promise<SpooledArchive> {
  const { limitBytes = ARCHIVE_LIMIT_BYTES, what = 'the archive' } = options;
  const path = join(folder, randomUUID());
  try {
    const { digest, sizeBytes } = await writeAndHash(path, content, limitBytes, what);
    if (options.sizeBytes !== undefined && options.sizeBytes !== sizeBytes) {
      throw new FissiumError(
        'ARCHIVE_REFUSED',
        `${what} has ${sizeBytes} bytes, but ${options.sizeBytes} were announced.`,
      );
    }
    if (options.digest !== undefined && options.digest !== digest) {
      throw new FissiumError(
        'ARCHIVE_REFUSED',
        `${what} has the sha256 ${digest}, but its checksum is ${options.digest}. It was changed or damaged on the way; correct the checksum or the archive.`,
      );
    }
    return { path, digest, sizeBytes };
  } catch (error) {
    await rm(path, { force: true });
    throw asStorageError(error);
  }
}

const TEMPORARY = '.tmp';
const PINS = '.pins';

async function writeAndHash(
  path: string,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  limitBytes: number,
  what: string,
): Promise<{ digest: string; sizeBytes: number }> {
  const file = await open(path, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const chunks = content instanceof Uint8Array ? [content] : content;
    for await (const chunk of chunks) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > limitBytes) {
        throw new FissiumError(
          'BODY_TOO_LARGE',
          `${what} is larger than ${limitBytes / 1024 / 1024} MiB, the most that is taken.`,
        );
      }
      hash.update(chunk);
      await writeAll(file, chunk);
    }
    await file.sync();
    return { digest: hash.digest('hex'), sizeBytes };
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.byteLength;) {
    const { bytesWritten } = await file.write(chunk, offset);
    offset += bytesWritten;
  }
}

/** A rename survives a power cut only once the folder that holds it is on disk too. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

/** A full disk as STORAGE_FULL; anything else as it is. */
export function asStorageError(error: unknown): unknown {
  if (!isCode(error, 'ENOSPC', 'EDQUOT')) return error;
  return new FissiumError(
    'STORAGE_FULL',
    'The disk of the data directory is full: the archive was not stored. Free some space and try again; what is deployed goes on serving.',
    { cause: error },
  );
}
