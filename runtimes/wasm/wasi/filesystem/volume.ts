/**
 * What an instance sees below `/`: the function's read-only files, and a private `/tmp` that can be written to.
 * All of it is in memory. Nothing here knows a path of the machine's own file system. What fails answers the
 * error-code instead of what it was asked for.
 */
import type { GuestFileSet } from '../../engine.ts';
import { TMP_BYTES_CAP } from '../limits.ts';
import type { FilesystemErrorCode } from './error-code.ts';
import { parsePath, type Path } from './path.ts';
import { buildSharedTree, type SharedDirectory, type SharedFile } from './shared-tree.ts';
import { TMP_ID, TmpDirectory, TmpFile, TmpSpace } from './tmp-tree.ts';

export type FileNode = SharedFile | TmpFile;
export type DirectoryNode = SharedDirectory | TmpDirectory;
export type Node = FileNode | DirectoryNode;

export interface OpenOptions {
  readonly create: boolean;
  readonly directory: boolean;
  readonly exclusive: boolean;
  readonly truncate: boolean;
  readonly write: boolean;
}

/** Where something is, or is to be: a name in a folder. */
interface Place {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly mustBeDirectory: boolean;
}

const TMP = 'tmp';
const NO_FILES: readonly GuestFileSet[] = [];

/** One tree for each function in a thread, made when a guest of its first looks at a file. */
const sharedTrees = new WeakMap<readonly GuestFileSet[], SharedDirectory>();

function sharedTreeOf(sets: readonly GuestFileSet[]): SharedDirectory {
  let tree = sharedTrees.get(sets);
  if (!tree) {
    tree = buildSharedTree(sets);
    sharedTrees.set(sets, tree);
  }
  return tree;
}

/** @param memoryBytes the function's memory limit, of which `/tmp` gets a quarter at most */
export function tmpQuotaBytes(memoryBytes: number): number {
  return Math.min(TMP_BYTES_CAP, Math.floor(memoryBytes / 4));
}

export class GuestVolume {
  readonly root: SharedDirectory;
  readonly #space: TmpSpace;
  readonly #tmp: TmpDirectory;

  /**
   * @param files the function's; the same list for all of its instances, which then share one tree
   * @param quotaBytes what `/tmp` may hold
   * @param onTaking called before `/tmp` takes memory of the thread's share; may throw
   */
  constructor(
    files: readonly GuestFileSet[] = NO_FILES,
    quotaBytes: number = TMP_BYTES_CAP,
    onTaking: () => void = () => undefined,
  ) {
    this.root = sharedTreeOf(files);
    this.#space = new TmpSpace(quotaBytes, onTaking);
    this.#tmp = new TmpDirectory(TMP_ID, null);
  }

  /** Bytes in `/tmp`. */
  get tmpBytes(): number {
    return this.#space.usedBytes;
  }

  /** Gives back what `/tmp` took of the thread's share; nothing of it is used any more. */
  close(): void {
    this.#space.close();
  }

  /** Entries in the order in which they were made; what is added meanwhile comes, too. */
  *entries(directory: DirectoryNode): Generator<readonly [name: string, node: Node]> {
    if (directory === this.root) yield [TMP, this.#tmp];
    for (const entry of directory.entries) {
      if (directory !== this.root || entry[0] !== TMP) yield entry;
    }
  }

  /** Whatever is at a path. */
  resolve(base: DirectoryNode, text: string): Node | FilesystemErrorCode {
    const path = parsePath(text);
    return typeof path === 'string' ? path : this.#find(base, path);
  }

  open(base: DirectoryNode, text: string, options: OpenOptions): Node | FilesystemErrorCode {
    const { create, directory, exclusive, truncate, write } = options;
    if (directory && (create || truncate)) return 'invalid';
    if (truncate && !write) return 'invalid';
    const path = parsePath(text);
    if (typeof path === 'string') return path;
    const found = this.#find(base, path);
    if (typeof found === 'string') {
      return found === 'no-entry' && create ? this.#create(base, path) : found;
    }
    if (create && exclusive) return 'exist';
    if (directory && found.kind !== 'directory') return 'not-directory';
    if (!write && !create) return found;
    if (found.kind === 'directory') return 'is-directory';
    if (!write) return found;
    if (!(found instanceof TmpFile)) return 'read-only';
    return (truncate ? found.setSize(0) : null) ?? found;
  }

  createDirectory(base: DirectoryNode, text: string): FilesystemErrorCode | null {
    const place = this.#placeAt(base, text);
    if (typeof place === 'string') return place === 'invalid' ? 'exist' : place;
    if (this.#child(place.directory, place.name)) return 'exist';
    const { directory } = place;
    if (!(directory instanceof TmpDirectory)) return 'read-only';
    if (directory.removed) return 'no-entry';
    const id = this.#space.nextId();
    if (id === null) return 'quota';
    directory.set(place.name, new TmpDirectory(id, directory));
    return null;
  }

  unlinkFile(base: DirectoryNode, text: string): FilesystemErrorCode | null {
    const place = this.#placeAt(base, text);
    if (typeof place === 'string') return place === 'invalid' ? 'is-directory' : place;
    const node = this.#child(place.directory, place.name);
    if (!node) return 'no-entry';
    if (node.kind === 'directory') return 'is-directory';
    if (place.mustBeDirectory) return 'not-directory';
    if (!(place.directory instanceof TmpDirectory) || !(node instanceof TmpFile)) return 'read-only';
    place.directory.set(place.name, null);
    node.link(-1);
    return null;
  }

  removeDirectory(base: DirectoryNode, text: string): FilesystemErrorCode | null {
    const place = this.#placeAt(base, text);
    if (typeof place === 'string') return place;
    const node = this.#child(place.directory, place.name);
    if (!node) return 'no-entry';
    if (node.kind !== 'directory') return 'not-directory';
    if (node === this.#tmp) return 'busy';
    if (!(place.directory instanceof TmpDirectory) || !(node instanceof TmpDirectory)) return 'read-only';
    if (node.entries.size > 0) return 'not-empty';
    this.#remove(place.directory, place.name, node);
    return null;
  }

  rename(
    from: DirectoryNode,
    fromText: string,
    to: DirectoryNode,
    toText: string,
  ): FilesystemErrorCode | null {
    const source = this.#placeAt(from, fromText);
    if (typeof source === 'string') return source;
    const target = this.#placeAt(to, toText);
    if (typeof target === 'string') return target;
    const node = this.#child(source.directory, source.name);
    if (!node) return 'no-entry';
    if (node.kind !== 'directory' && (source.mustBeDirectory || target.mustBeDirectory))
      return 'not-directory';
    if (node === this.#tmp) return 'busy';
    const [leaves, enters] = [source.directory, target.directory];
    if (!(leaves instanceof TmpDirectory && enters instanceof TmpDirectory)) return 'read-only';
    if (!(node instanceof TmpFile || node instanceof TmpDirectory)) return 'read-only';
    if (enters.removed) return 'no-entry';
    if (node.kind === 'directory' && enters.isIn(node)) return 'invalid';
    const replaced = enters.entries.get(target.name);
    if (replaced === node) return null;
    const problem = replaced ? this.#replace(enters, target.name, replaced, node) : null;
    if (problem) return problem;
    leaves.set(source.name, null);
    enters.set(target.name, node);
    if (node.kind === 'directory') node.parent = enters;
    return null;
  }

  link(from: DirectoryNode, fromText: string, to: DirectoryNode, toText: string): FilesystemErrorCode | null {
    const node = this.resolve(from, fromText);
    if (typeof node === 'string') return node;
    const target = this.#placeAt(to, toText);
    if (typeof target === 'string') return target;
    if (node.kind === 'directory') return 'not-permitted';
    if (target.mustBeDirectory) return 'not-directory';
    if (this.#child(target.directory, target.name)) return 'exist';
    if (!(target.directory instanceof TmpDirectory) || !(node instanceof TmpFile)) return 'read-only';
    if (target.directory.removed) return 'no-entry';
    // A name takes an entry's place, also where the file has one already.
    if (this.#space.nextId() === null) return 'quota';
    target.directory.set(target.name, node);
    node.link(1);
    return null;
  }

  #find(base: DirectoryNode, { parts, directory }: Path): Node | FilesystemErrorCode {
    const last = parts.at(-1);
    if (last === undefined || last === '..') return this.#walk(base, parts);
    const parent = this.#walk(base, parts.slice(0, -1));
    if (typeof parent === 'string') return parent;
    const node = this.#child(parent, last);
    if (!node) return 'no-entry';
    return directory && node.kind !== 'directory' ? 'not-directory' : node;
  }

  /** Goes down through folders. `..` leads up again, never above where it began. */
  #walk(base: DirectoryNode, parts: readonly string[]): DirectoryNode | FilesystemErrorCode {
    const above: DirectoryNode[] = [];
    let here = base;
    for (const part of parts) {
      if (part === '..') {
        const up = above.pop();
        if (!up) return 'not-permitted';
        here = up;
        continue;
      }
      const next = this.#child(here, part);
      if (!next) return 'no-entry';
      if (next.kind !== 'directory') return 'not-directory';
      above.push(here);
      here = next;
    }
    return here;
  }

  #placeAt(base: DirectoryNode, text: string): Place | FilesystemErrorCode {
    const path = parsePath(text);
    return typeof path === 'string' ? path : this.#place(base, path);
  }

  /** `invalid` where the path names the base itself, or ends in `..`. */
  #place(base: DirectoryNode, { parts, directory: mustBeDirectory }: Path): Place | FilesystemErrorCode {
    const name = parts.at(-1);
    if (name === undefined || name === '..') {
      const leads = this.#walk(base, parts);
      return typeof leads === 'string' ? leads : 'invalid';
    }
    const directory = this.#walk(base, parts.slice(0, -1));
    return typeof directory === 'string' ? directory : { directory, name, mustBeDirectory };
  }

  #child(directory: DirectoryNode, name: string): Node | undefined {
    if (name === TMP && directory === this.root) return this.#tmp;
    return directory.entries.get(name);
  }

  #create(base: DirectoryNode, path: Path): TmpFile | FilesystemErrorCode {
    const place = this.#place(base, path);
    if (typeof place === 'string') return place;
    const { directory, name, mustBeDirectory } = place;
    if (mustBeDirectory) return 'is-directory';
    if (!(directory instanceof TmpDirectory)) return 'read-only';
    if (directory.removed) return 'no-entry';
    const id = this.#space.nextId();
    if (id === null) return 'quota';
    const file = new TmpFile(id, this.#space);
    directory.set(name, file);
    return file;
  }

  /** Takes away what a rename puts something else in the place of. */
  #replace(
    directory: TmpDirectory,
    name: string,
    replaced: TmpFile | TmpDirectory,
    by: TmpFile | TmpDirectory,
  ): FilesystemErrorCode | null {
    if (replaced.kind === 'file') {
      if (by.kind === 'directory') return 'not-directory';
      directory.set(name, null);
      replaced.link(-1);
      return null;
    }
    if (by.kind === 'file') return 'is-directory';
    if (replaced.entries.size > 0) return 'not-empty';
    this.#remove(directory, name, replaced);
    return null;
  }

  #remove(directory: TmpDirectory, name: string, node: TmpDirectory): void {
    directory.set(name, null);
    node.removed = true;
    node.parent = null;
    this.#space.forget();
  }
}
