/** Applies a specification again whenever its files change. */
import { watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import { matchFiles } from '../archive.ts';
import { rootOf } from './archives.ts';
import type { SpecSet } from './load.ts';

/** Editors write a file in several steps: one apply for all of them. */
const QUIET_MS = 200;

/**
 * Calls `apply` at every change of the files, one call at a time, until the signal aborts. `apply` resolves with
 * the specification as it is then, and never rejects; the folders that it names are watched from then on.
 */
export async function watchSpecs(
  first: SpecSet,
  apply: () => Promise<SpecSet | undefined>,
  signal: AbortSignal | undefined,
): Promise<void> {
  let watchers = new Map<string, FSWatcher>();
  let wake: () => void = () => {};
  let changed = false;
  const onChange = (): void => {
    changed = true;
    wake();
  };
  signal?.addEventListener('abort', () => wake(), { once: true });
  try {
    watchers = await rewatch(watchers, first, onChange);
    const isAborted = (): boolean => signal?.aborted === true;
    while (!isAborted()) {
      if (!changed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (isAborted()) return;
      // Wait until the changes have ended.
      while (changed) {
        changed = false;
        await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
      }
      const set = await apply();
      if (set !== undefined) watchers = await rewatch(watchers, set, onChange);
    }
  } finally {
    for (const watcher of watchers.values()) watcher.close();
  }
}

async function rewatch(
  current: Map<string, FSWatcher>,
  set: SpecSet,
  onChange: () => void,
): Promise<Map<string, FSWatcher>> {
  const folders = await foldersOf(set);
  for (const [folder, watcher] of current) {
    if (folders.has(folder)) continue;
    watcher.close();
    current.delete(folder);
  }
  for (const folder of folders) {
    if (current.has(folder)) continue;
    const watcher = watch(folder, { recursive: folder === set.folder }, onChange);
    // A folder that goes away is a change; the next apply says what is missing.
    watcher.on('error', onChange);
    current.set(folder, watcher);
  }
  return current;
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
