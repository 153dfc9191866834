/** Archives in a folder: one file each, named by its id. */
import { open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { FissiumError } from '../../errors.ts';
import { ArchiveStore, type SpooledArchive } from '../archives.ts';
import { type ArchiveId, formatArchiveId, isDigest, parseArchiveId, TENANT_MARK } from './archive-id.ts';
import type { ArchiveInfo, ArchiveStorage } from './storage.ts';

export class FolderStorage implements ArchiveStorage {
  readonly type = 'local';
  readonly #root: ArchiveStore;
  readonly #tenants = new Map<string, Promise<ArchiveStore>>();

  /** @param root archives that belong to no tenant; those of tenants lie in a folder below */
  constructor(root: ArchiveStore) {
    this.#root = root;
  }

  get spoolFolder(): string {
    return this.#root.temporaryFolder;
  }

  async put({ namespace }: ArchiveId, spooled: SpooledArchive): Promise<void> {
    await (await this.#store(namespace)).adopt(spooled);
  }

  async find(id: ArchiveId): Promise<ArchiveInfo | undefined> {
    try {
      const { size, mtimeMs } = await stat(this.#path(id));
      return { id, sizeBytes: size, storedMs: mtimeMs };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async read(id: ArchiveId): Promise<Readable> {
    try {
      // Opened before it is given: that it is missing is an answer, not a broken stream.
      const file = await open(this.#path(id), 'r');
      return file.createReadStream();
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw new FissiumError('ARCHIVE_NOT_FOUND', 'There is no archive with this id.', { cause: error });
    }
  }

  async remove(id: ArchiveId, thanMs = Infinity): Promise<boolean> {
    if (isDigest(id.name)) return (await this.#store(id.namespace)).removeOlder(id.name, thanMs);
    // Fission's: never stored again under the same name.
    const found = await this.find(id);
    if (found === undefined || found.storedMs >= thanMs) return false;
    await rm(this.#path(id), { force: true });
    return true;
  }

  async *list(): AsyncIterable<ArchiveInfo> {
    yield* this.#listFolder(this.#root.folder, '');
    const tenants = join(this.#root.folder, TENANT_MARK);
    for (const namespace of await namesIn(tenants)) {
      yield* this.#listFolder(join(tenants, namespace), `${TENANT_MARK}/${namespace}/`);
    }
  }

  async *#listFolder(folder: string, prefix: string): AsyncIterable<ArchiveInfo> {
    for (const name of await namesIn(folder)) {
      const id = parseArchiveId(prefix + name);
      const info = id === null ? undefined : await this.find(id);
      if (info !== undefined) yield info;
    }
  }

  #path(id: ArchiveId): string {
    return join(this.#root.folder, formatArchiveId(id));
  }

  #store(namespace: string): Promise<ArchiveStore> {
    if (namespace === '') return Promise.resolve(this.#root);
    let store = this.#tenants.get(namespace);
    if (store === undefined) {
      store = ArchiveStore.open(join(this.#root.folder, TENANT_MARK, namespace));
      this.#tenants.set(namespace, store);
      store.catch(() => this.#tenants.delete(namespace));
    }
    return store;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT';
}
