/** The read-only files of a function: one tree for all of its instances in a thread, over memory that threads share. */
import type { GuestFileSet } from '../../engine.ts';
import { datetimeOf, type Datetime } from './times.ts';

export class SharedFile {
  readonly kind = 'file';
  readonly id: number;
  readonly modified: Datetime;
  readonly #content: Uint8Array;

  constructor(id: number, content: Uint8Array, modified: Datetime) {
    this.id = id;
    this.modified = modified;
    this.#content = content;
  }

  get size(): number {
    return this.#content.byteLength;
  }

  /** A view, of shared memory that nobody writes to. */
  read(offset: number, length: number): Uint8Array {
    return this.#content.subarray(offset, offset + length);
  }
}

export class SharedDirectory {
  readonly kind = 'directory';
  readonly id: number;
  readonly entries = new Map<string, SharedFile | SharedDirectory>();
  modified: Datetime = datetimeOf(0);

  constructor(id: number) {
    this.id = id;
  }
}

/** The tree of these sets. A file of a later set takes the place of whatever an earlier one has there. */
export function buildSharedTree(sets: readonly GuestFileSet[]): SharedDirectory {
  let nextId = 1;
  const root = new SharedDirectory(nextId++);
  const directoryIn = (parent: SharedDirectory, name: string): SharedDirectory => {
    const known = parent.entries.get(name);
    if (known?.kind === 'directory') return known;
    const made = new SharedDirectory(nextId++);
    parent.entries.set(name, made);
    return made;
  };
  for (const { bytes, entries } of sets) {
    for (const { path, offset, sizeBytes, modifiedMs } of entries) {
      const parts = path.split('/');
      const name = parts.pop() ?? '';
      const directory = parts.reduce(directoryIn, root);
      const modified = datetimeOf(modifiedMs);
      directory.entries.set(
        name,
        new SharedFile(nextId++, new Uint8Array(bytes, offset, sizeBytes), modified),
      );
      if (directory.modified.seconds < modified.seconds) directory.modified = modified;
    }
  }
  return root;
}
