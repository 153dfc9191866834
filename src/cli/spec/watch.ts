/** Applies a specification again whenever its files change. */
import { watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import { matchFiles } from '../archive.ts';
import { rootOf } from './archives.ts';
import type { SpecSet } from './load.ts';

/** Editors write a file in several steps: one apply for all of them. */
const QUIET_MS = 200;

export interface SpecWatch {
  /** Reads the specification as it is now; undefined (and said why) where it cannot be read. Never rejects. */
  readonly load: () => Promise<SpecSet | undefined>;
  /** Applies what was read. Never rejects. */
  readonly apply: (set: SpecSet) => Promise<void>;
  /** Called once the first apply is over. */
  readonly started: () => void;
}

/**
 * Applies the specification now and at every change of its files, one apply at a time, until the signal aborts.
 * Files are watched before they are read, so that no change between two applies is lost.
 * @param folder the specification's own, watched also while it cannot be read
 */
export async function watchSpecs(
  folder: string,
  { load, apply, started }: SpecWatch,
  signal: AbortSignal | undefined,
): Promise<void> {
  const watchers = new Map<string, FSWatcher>();
  let wake: () => void = () => {};
  let changed = false;
  const onChange = (): void => {
    changed = true;
    wake();
  };
  const isAborted = (): boolean => signal?.aborted === true;
  signal?.addEventListener('abort', () => wake(), { once: true });
  try {
    watchAlso(watchers, folder, folder, onChange);
    for (let isFirst = true; !isAborted(); isFirst = false) {
      const set = await load();
      if (set !== undefined) {
        await rewatch(watchers, set, onChange);
        await apply(set);
      }
      if (isFirst) started();
      if (!changed && !isAborted()) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      // Wait until the changes have ended.
      while (changed && !isAborted()) {
        changed = false;
        await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
      }
    }
  } finally {
    for (const watcher of watchers.values()) watcher.close();
  }
}

async function rewatch(watchers: Map<string, FSWatcher>, set: SpecSet, onChange: () => void): Promise<void> {
  const folders = await foldersOf(set);
  for (const [folder, watcher] of watchers) {
    if (folders.has(folder)) continue;
    watcher.close();
    watchers.delete(folder);
  }
  for (const folder of folders) watchAlso(watchers, folder, set.folder, onChange);
}

function watchAlso(
  watchers: Map<string, FSWatcher>,
  folder: string,
  specFolder: string,
  onChange: () => void,
): void {
  if (watchers.has(folder)) return;
  const watcher = watch(folder, { recursive: folder === specFolder }, onChange);
  // A folder that goes away is a change; the next apply says what is missing.
  watcher.on('error', onChange);
  watchers.set(folder, watcher);
}

/** The folder of the specification, and those of the files that its archives are made of. */
async function foldersOf(set: SpecSet): Promise<Set<string>> {
  const folders = new Set([set.folder]);
  for (const upload of set.archives) {
    const files = await matchFiles(upload.include, rootOf(upload, set.folder), upload.exclude).catch(
      () => [],
    );
    for (const file of files) folders.add(dirname(file));
  }
  return folders;
}
