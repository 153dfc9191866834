/** Compiled core modules, shared by every function of one digest, and of one memory limit where that is in the module. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PreparedManifest } from './engine.ts';
import { memoryPages } from './prepare/limits.ts';
import { limitMemory } from './rewrite/memory-limit.ts';
import { limitTables } from './rewrite/tables.ts';

type Modules = ReadonlyMap<string, WebAssembly.Module>;

interface Entry {
  readonly modules: Promise<Modules>;
  readonly bytes: number;
  /** Keys of the functions that have them. */
  readonly owners: Set<string>;
}

export class ModuleCache {
  readonly #entries = new Map<string, Entry>();
  /** Keys of functions, and what each has. */
  readonly #owned = new Map<string, string>();
  #heldBytes = 0;

  /** Bytes of Wasm of all modules that are compiled now. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether a function of this package would find it compiled. */
  has(manifest: PreparedManifest, memoryBytes: number): boolean {
    return this.#entries.has(cacheKey(manifest, memoryBytes));
  }

  /** Compiled modules by name; compiled once, whoever asks, and kept until every owner has released them. */
  async load(
    owner: string,
    manifest: PreparedManifest,
    folder: string,
    memoryBytes: number,
  ): Promise<Modules> {
    const key = cacheKey(manifest, memoryBytes);
    let entry = this.#entries.get(key);
    if (!entry) {
      const bytes = sizeOf(manifest);
      entry = { modules: compileAll(manifest, folder, memoryBytes), bytes, owners: new Set() };
      this.#entries.set(key, entry);
      this.#heldBytes += bytes;
    }
    entry.owners.add(owner);
    this.#owned.set(owner, key);
    try {
      return await entry.modules;
    } catch (error) {
      this.release(owner);
      throw error;
    }
  }

  /** The owner needs its modules no more, or not now. */
  release(owner: string): void {
    const key = this.#owned.get(owner) ?? '';
    const entry = this.#entries.get(key);
    this.#owned.delete(owner);
    if (!entry?.owners.delete(owner) || entry.owners.size > 0) return;
    this.#entries.delete(key);
    this.#heldBytes -= entry.bytes;
  }
}

/** Bytes of Wasm of a package's core modules. */
export function sizeOf({ modules }: PreparedManifest): number {
  return modules.reduce((sum, { bytes }) => sum + bytes, 0);
}

function cacheKey(manifest: PreparedManifest, memoryBytes: number): string {
  // One package may be prepared for two engines, which have other modules.
  const inModule = manifest.modules.some(
    ({ initialPages, importsMemory }) => initialPages !== undefined && importsMemory !== true,
  );
  const limit = inModule ? memoryBytes : 'any';
  return `${manifest.engine}-${manifest.digest}-${manifest.prepareVersion}-${limit}`;
}

async function compileAll(
  manifest: PreparedManifest,
  folder: string,
  memoryBytes: number,
): Promise<ReadonlyMap<string, WebAssembly.Module>> {
  const pages = memoryPages(manifest, memoryBytes);
  const compiled = await Promise.all(
    manifest.modules.map(async ({ name, file, initialPages }) => {
      const bytes = await readFile(join(folder, file));
      const bounded = limitTables(bytes);
      const limited = initialPages === undefined ? bounded : limitMemory(bounded, pages);
      return [name, await WebAssembly.compile(limited as BufferSource)] as const;
    }),
  );
  return new Map(compiled);
}
