/** Archives in an S3 bucket: one object each, `PREFIX/ID`. */
import { createReadStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';

import { FissiumError } from '../../errors.ts';
import type { SpooledArchive } from '../archives.ts';
import { KeyedMutex } from '../mutex.ts';
import { type ArchiveId, formatArchiveId, parseArchiveId } from './archive-id.ts';
import { S3Client, type S3Options } from './s3-client.ts';
import type { ArchiveInfo, ArchiveStorage } from './storage.ts';

export interface S3StorageOptions extends S3Options {
  /** Folder in the bucket. @default '' */
  readonly prefix?: string;
  /** A local folder that uploads are written to until their digest is known. */
  readonly spoolFolder: string;
}

export class S3Storage implements ArchiveStorage {
  readonly type = 's3';
  readonly bucket: string;
  readonly spoolFolder: string;
  readonly #client: S3Client;
  readonly #prefix: string;
  /** S3 has no removing of what has not changed; this process is the only one that removes. */
  readonly #changes = new KeyedMutex();

  private constructor(options: S3StorageOptions) {
    this.#client = new S3Client(options);
    this.bucket = options.bucket;
    this.spoolFolder = options.spoolFolder;
    const prefix = (options.prefix ?? '').replace(/^\/+|\/+$/g, '');
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
  }

  /** Makes the spool folder, and looks whether the bucket can be read. @throws FissiumError STORAGE_UNREACHABLE */
  static async open(options: S3StorageOptions): Promise<S3Storage> {
    await rm(options.spoolFolder, { recursive: true, force: true });
    await mkdir(options.spoolFolder, { recursive: true, mode: 0o700 });
    const storage = new S3Storage(options);
    try {
      await storage.#client.list(storage.#prefix)[Symbol.asyncIterator]().next();
    } catch (error) {
      await storage.close();
      throw error;
    }
    return storage;
  }

  async put(id: ArchiveId, spooled: SpooledArchive): Promise<void> {
    const { path, sizeBytes, digest } = spooled;
    try {
      const content = (): Readable => createReadStream(path);
      const key = this.#key(id);
      await this.#changes.run(key, () => this.#client.put(key, content, sizeBytes, digest));
    } finally {
      await rm(path, { force: true });
    }
  }

  async find(id: ArchiveId): Promise<ArchiveInfo | undefined> {
    const found = await this.#client.head(this.#key(id));
    return found && { id, sizeBytes: found.sizeBytes, storedMs: found.modifiedMs };
  }

  async read(id: ArchiveId): Promise<Readable> {
    const content = await this.#client.get(this.#key(id));
    if (content !== undefined) return content;
    throw new FissiumError('ARCHIVE_NOT_FOUND', 'There is no archive with this id.');
  }

  async remove(id: ArchiveId, thanMs = Infinity): Promise<boolean> {
    const key = this.#key(id);
    return this.#changes.run(key, async () => {
      const found = await this.find(id);
      if (found === undefined || found.storedMs >= thanMs) return false;
      await this.#client.remove(key);
      return true;
    });
  }

  async *list(): AsyncIterable<ArchiveInfo> {
    for await (const { key, sizeBytes, modifiedMs } of this.#client.list(this.#prefix)) {
      const rest = key.slice(this.#prefix.length);
      const id = parseArchiveId(rest);
      // Whatever else lies in the bucket is none of ours.
      if (id !== null && formatArchiveId(id) === rest) yield { id, sizeBytes, storedMs: modifiedMs };
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #key(id: ArchiveId): string {
    return this.#prefix + formatArchiveId(id);
  }
}
