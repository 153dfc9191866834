/** What is done once before a rival can be started with a program, done once in a run and not before each start. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Program } from '../programs.ts';
import type { Rival } from '../rivals/rival.ts';

export class PreparedPrograms {
  /** Folders as they were after preparing, by rival and program; nothing is ever started in them. */
  readonly #folders = new Map<string, Promise<string>>();

  /**
   * Makes the folder what it is after preparing, by a copy: whatever an earlier process left behind (which functions it
   * served, for one) is not in it, so that a start from it is the same as from a folder that was prepared just now.
   */
  async into(folder: string, rival: Rival, program: Program): Promise<void> {
    if (rival.prepare === undefined) return;
    const key = JSON.stringify([rival.name, program.file]);
    let prepared = this.#folders.get(key);
    if (prepared === undefined) {
      prepared = prepare(rival, program);
      this.#folders.set(key, prepared);
      // What failed may be tried again: the scenarios count the failures.
      prepared.catch(() => this.#folders.delete(key));
    }
    await cp(await prepared, folder, { recursive: true });
  }

  /** Removes the folders. */
  async close(): Promise<void> {
    const folders = await Promise.allSettled(this.#folders.values());
    this.#folders.clear();
    for (const one of folders) if (one.status === 'fulfilled') await remove(one.value);
  }
}

async function prepare(rival: Rival, program: Program): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fissium-bench-prepared-'));
  try {
    await rival.prepare?.(program, { folder });
    return folder;
  } catch (error) {
    await remove(folder);
    throw error;
  }
}

function remove(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true, maxRetries: 5 });
}
