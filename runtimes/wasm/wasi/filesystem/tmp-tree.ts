/** The private `/tmp` of one instance: in memory, counted, gone with the instance. */
import { threadMemory } from '../../pool/thread.ts';
import { TMP_BYTES_OF_A_THREAD_CAP, TMP_ENTRIES_CAP, TMP_ENTRY_WEIGHT } from '../limits.ts';
import type { FilesystemErrorCode } from './error-code.ts';
import { now, type Datetime } from './times.ts';

/** Of `/tmp` itself. Above the ids of any read-only tree. */
export const TMP_ID = 2 ** 32;
const FIRST_CAPACITY_BYTES = 256;
/** In which the process's memory for guests is counted. */
const PAGE_BYTES = 65_536;

/** Bytes that the tmp folders of all instances in this thread take together. */
let threadBytes = 0;

/** What one `/tmp` may hold, and what it does. */
export class TmpSpace {
  readonly #quotaBytes: number;
  readonly #onTaking: () => void;
  #usedBytes = 0;
  /** `/tmp` itself is one, which takes no memory: most guests look at their folders, and never write there. */
  #entries = 1;
  #allocatedBytes = 0;
  #closed = false;
  #nextId = TMP_ID + 1;

  /** @param onTaking called before it takes memory of the thread's share; may throw */
  constructor(quotaBytes: number, onTaking: () => void) {
    this.#quotaBytes = quotaBytes;
    this.#onTaking = onTaking;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** For a name that is given to a file or folder; null where there are too many. */
  nextId(): number | null {
    if (this.#entries >= TMP_ENTRIES_CAP || !this.allocate(TMP_ENTRY_WEIGHT)) return null;
    this.#entries += 1;
    return this.#nextId++;
  }

  /** A name is gone. */
  forget(): void {
    this.#entries -= 1;
    this.allocate(-TMP_ENTRY_WEIGHT);
  }

  /** Counts a change of a file's size. */
  use(bytes: number): FilesystemErrorCode | null {
    if (bytes > 0 && this.#usedBytes + bytes > this.#quotaBytes) return 'quota';
    this.#usedBytes += bytes;
    return null;
  }

  /** Counts memory that is really taken; false where the thread, or the process, has no more for this. */
  allocate(bytes: number): boolean {
    if (this.#closed) return bytes <= 0;
    if (bytes > 0) this.#onTaking();
    if (bytes > 0 && threadBytes + bytes > TMP_BYTES_OF_A_THREAD_CAP) return false;
    if (!this.#countPages(this.#allocatedBytes + bytes)) return false;
    threadBytes += bytes;
    this.#allocatedBytes += bytes;
    return true;
  }

  /** Nothing of it is used any more. */
  close(): void {
    this.allocate(-this.#allocatedBytes);
    this.#closed = true;
  }

  #countPages(bytes: number): boolean {
    const pages = Math.ceil(bytes / PAGE_BYTES) - Math.ceil(this.#allocatedBytes / PAGE_BYTES);
    if (pages > 0) return threadMemory.take({ memories: 0, pages });
    if (pages < 0) threadMemory.giveBack({ memories: 0, pages: -pages });
    return true;
  }
}

export class TmpFile {
  readonly kind = 'file';
  readonly id: number;
  readonly #space: TmpSpace;
  #buffer = new Uint8Array(0);
  #size = 0;
  #links = 1;
  /** Descriptors and streams: a file without a name is there until the last one is dropped. */
  #holders = 0;
  #version = 0;
  accessed: Datetime = now();
  modified: Datetime = this.accessed;
  changed: Datetime = this.accessed;

  constructor(id: number, space: TmpSpace) {
    this.id = id;
    this.#space = space;
  }

  get size(): number {
    return this.#size;
  }

  get links(): number {
    return this.#links;
  }

  /** Changes with its content. */
  get version(): number {
    return this.#version;
  }

  /** A view, which the next write may change. */
  read(offset: number, length: number): Uint8Array {
    return this.#buffer.subarray(Math.min(offset, this.#size), Math.min(offset + length, this.#size));
  }

  /** Writes all of it, or nothing. */
  write(offset: number, bytes: Uint8Array): FilesystemErrorCode | null {
    if (bytes.byteLength === 0) return null;
    const end = offset + bytes.byteLength;
    if (end > this.#size) {
      const problem = this.#resize(end);
      if (problem) return problem;
    }
    this.#buffer.set(bytes, offset);
    this.#wasModified();
    return null;
  }

  setSize(size: number): FilesystemErrorCode | null {
    const problem = this.#resize(size);
    if (!problem) this.#wasModified();
    return problem;
  }

  /** It got a name, or lost one. */
  link(change: 1 | -1): void {
    this.#links += change;
    if (change < 0) this.#space.forget();
    this.changed = now();
    this.#freeIfUnused();
  }

  hold(change: 1 | -1): void {
    this.#holders += change;
    this.#freeIfUnused();
  }

  #freeIfUnused(): void {
    if (this.#links > 0 || this.#holders > 0) return;
    this.#space.allocate(-this.#buffer.byteLength);
    this.#space.use(-this.#size);
    this.#buffer = new Uint8Array(0);
    this.#size = 0;
  }

  #resize(size: number): FilesystemErrorCode | null {
    const problem = this.#space.use(size - this.#size);
    if (problem) return problem;
    if (size > this.#buffer.byteLength && !this.#grow(size)) {
      this.#space.use(this.#size - size);
      return 'insufficient-space';
    }
    // What lies past the end reads as zeros when the file grows over it again.
    if (size < this.#size) this.#buffer.fill(0, size, this.#size);
    this.#size = size;
    return null;
  }

  /** Twice as much as before where there is room for it, so that appending does not copy everything each time. */
  #grow(size: number): boolean {
    const before = this.#buffer.byteLength;
    let capacity = Math.max(size, before * 2, FIRST_CAPACITY_BYTES);
    if (!this.#space.allocate(capacity - before)) {
      capacity = size;
      if (!this.#space.allocate(capacity - before)) return false;
    }
    const grown = new Uint8Array(capacity);
    grown.set(this.#buffer.subarray(0, this.#size));
    this.#buffer = grown;
    return true;
  }

  #wasModified(): void {
    this.#version += 1;
    this.modified = now();
    this.changed = this.modified;
  }
}

export class TmpDirectory {
  readonly kind = 'directory';
  readonly id: number;
  readonly entries = new Map<string, TmpFile | TmpDirectory>();
  /** Null for `/tmp` itself, and for one that was removed. */
  parent: TmpDirectory | null;
  removed = false;
  accessed: Datetime = now();
  modified: Datetime = this.accessed;
  changed: Datetime = this.accessed;

  constructor(id: number, parent: TmpDirectory | null) {
    this.id = id;
    this.parent = parent;
  }

  /** Names or unnames an entry. */
  set(name: string, node: TmpFile | TmpDirectory | null): void {
    // A name is a slice of the path it came in, which would be kept with it, and is up to sixteen times as long.
    if (node) this.entries.set(Buffer.from(name).toString(), node);
    else this.entries.delete(name);
    this.modified = now();
    this.changed = this.modified;
  }

  /** Whether this is `other`, or lies in it. */
  isIn(other: TmpDirectory): boolean {
    if (this === other) return true;
    for (let at = this.parent; at; at = at.parent) if (at === other) return true;
    return false;
  }
}
