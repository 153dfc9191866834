/** Applies a specification again whenever its files change. */
import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { matchFiles } from '../archive.ts';
import { rootOf } from './archives.ts';
import type { SpecSet } from './load.ts';

/** Editors write a file in several steps: one apply for all of them. */
const QUIET_MS = 200;

export interface SpecWatch {
  /** Reads the specification as it is now; undefined (and said why) where it cannot be read. Never rejects. */
  readonly load: () => Promise<SpecSet | undefined>;
  /** Applies what was read; false (and said why) where that failed. Never rejects. */
  readonly apply: (set: SpecSet) => Promise<boolean>;
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
  let applied = '';
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
        const files = await archiveFiles(set);
        rewatch(watchers, set, files, onChange);
        // Other files of a watched folder change as well: a log, an editor's, the platform's own.
        const state = await stateOf(set, files);
        // What failed is tried again at the next change, of whatever file.
        if (state !== applied) applied = (await apply(set)) ? state : '';
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

function rewatch(
  watchers: Map<string, FSWatcher>,
  set: SpecSet,
  files: readonly string[],
  onChange: () => void,
): void {
  const folders = new Set([set.folder, ...files.map((file) => dirname(file))]);
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

/** The files that the specification's archives are made of. */
async function archiveFiles(set: SpecSet): Promise<string[]> {
  const files = await Promise.all(
    set.archives.map((upload) =>
      matchFiles(upload.include, rootOf(upload, set.folder), upload.exclude).catch(() => []),
    ),
  );
  return files.flat();
}

/** Differs whenever an apply would find something else. */
async function stateOf(set: SpecSet, files: readonly string[]): Promise<string> {
  const stats = await Promise.all(
    files.map(async (file) => {
      const info = await stat(file).catch(() => undefined);
      return [file, info?.mtimeMs, info?.size, info?.ino];
    }),
  );
  return JSON.stringify([set, stats]);
}
