/** Compiled core modules, shared by every function of one digest and memory limit. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PreparedManifest } from './engine.ts';
import { memoryPages } from './prepare/limits.ts';
import { limitMemory } from './rewrite/memory-limit.ts';
import { limitTables } from './rewrite/tables.ts';

interface Entry {
  readonly modules: Promise<ReadonlyMap<string, WebAssembly.Module>>;
  users: number;
}

export class ModuleCache {
  readonly #entries = new Map<string, Entry>();

  /** Compiled modules by name; compiled once, whoever asks. Each `load` needs its `release`. */
  async load(
    manifest: PreparedManifest,
    folder: string,
    memoryBytes: number,
  ): Promise<ReadonlyMap<string, WebAssembly.Module>> {
    const key = cacheKey(manifest, memoryBytes);
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = { modules: compileAll(manifest, folder, memoryBytes), users: 0 };
      this.#entries.set(key, entry);
    }
    entry.users++;
    try {
      return await entry.modules;
    } catch (error) {
      this.release(manifest, memoryBytes);
      throw error;
    }
  }

  release(manifest: PreparedManifest, memoryBytes: number): void {
    const key = cacheKey(manifest, memoryBytes);
    const entry = this.#entries.get(key);
    if (entry && --entry.users === 0) this.#entries.delete(key);
  }
}

function cacheKey(manifest: PreparedManifest, memoryBytes: number): string {
  // One package may be prepared for two engines, which have other modules.
  return `${manifest.engine}-${manifest.digest}-${manifest.prepareVersion}-${memoryBytes}`;
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
