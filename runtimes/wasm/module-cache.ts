/** Compiled core modules, shared by every function of one digest, and of one memory limit where that is in the module. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compileModule, type CompileMode } from './compile.ts';
import type { PreparedManifest } from './engine.ts';
import { memoryPages } from './prepare/limits.ts';
import { limitMemory } from './rewrite/memory-limit.ts';
import { limitTables } from './rewrite/tables.ts';

type Modules = ReadonlyMap<string, WebAssembly.Module>;

/**
 * A package of up to this is compiled whole. Otherwise its first request waits for the compiler at each function that
 * it calls: nearly half of the time in the guest of a Rust hello (0.8 of 1.7 ms, 2026-11-27), for 1.5 ms of CPU time
 * that nobody waits for.
 */
const WHOLE_BYTES = 256 * 1024;
/** Of all that are compiled whole: machine code is several times larger, and thousands of functions may never be called. */
const ALL_WHOLE_BYTES = 16 * 1024 * 1024;

interface Entry {
  readonly modules: Promise<Modules>;
  readonly bytes: number;
  readonly mode: CompileMode;
  /** Keys of the functions that have them. */
  readonly owners: Set<string>;
}

export class ModuleCache {
  readonly #entries = new Map<string, Entry>();
  /** Keys of functions, and what each has. */
  readonly #owned = new Map<string, string>();
  #heldBytes = 0;
  #wholeBytes = 0;

  /** Bytes of Wasm of all modules that are compiled now. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Of {@link heldBytes}, those of modules that were compiled whole. */
  get wholeBytes(): number {
    return this.#wholeBytes;
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
      const mode = bytes <= WHOLE_BYTES && this.#wholeBytes + bytes <= ALL_WHOLE_BYTES ? 'whole' : 'lazy';
      entry = { modules: compileAll(manifest, folder, memoryBytes, mode), bytes, mode, owners: new Set() };
      this.#entries.set(key, entry);
      this.#heldBytes += bytes;
      if (mode === 'whole') this.#wholeBytes += bytes;
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
    if (entry.mode === 'whole') this.#wholeBytes -= entry.bytes;
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
  mode: CompileMode,
): Promise<ReadonlyMap<string, WebAssembly.Module>> {
  const pages = memoryPages(manifest, memoryBytes);
  const compiled = await Promise.all(
    manifest.modules.map(async ({ name, file, initialPages }) => {
      const bytes = await readFile(join(folder, file));
      const bounded = limitTables(bytes);
      const limited = initialPages === undefined ? bounded : limitMemory(bounded, pages);
      return [name, await compileModule(limited, mode)] as const;
    }),
  );
  return new Map(compiled);
}
