/**
 * The descriptors of one run: `/` is preopened as number 3, over the same files that components see
 * (`wasi/filesystem/`). Everything is in memory, so nothing here waits.
 */
import type { FilesystemErrorCode } from '../wasi/filesystem/error-code.ts';
import { SharedDirectory } from '../wasi/filesystem/shared-tree.ts';
import { TmpDirectory, TmpFile } from '../wasi/filesystem/tmp-tree.ts';
import {
  GuestVolume,
  tmpQuotaBytes,
  type DirectoryNode,
  type FileNode,
  type Node,
} from '../wasi/filesystem/volume.ts';
import { LISTED_ENTRY_WEIGHT } from '../wasi/limits.ts';
import type { GuestState } from '../wasi/state.ts';
import { ERRNO } from './errno.ts';
import { Errno } from './guest-memory.ts';

const FIRST_FD = 3;
/** Descriptors at once. */
const MAX_FDS = 1024;
/** Where `/` is. */
const ROOT_FD = FIRST_FD;
export const ROOT_NAME = '/';

const ERRNOS: Readonly<Record<FilesystemErrorCode, number>> = {
  'bad-descriptor': ERRNO.badf,
  busy: ERRNO.busy,
  exist: ERRNO.exist,
  'insufficient-space': ERRNO.nospc,
  invalid: ERRNO.inval,
  'is-directory': ERRNO.isdir,
  'name-too-long': ERRNO.nametoolong,
  'no-entry': ERRNO.noent,
  'not-directory': ERRNO.notdir,
  'not-empty': ERRNO.notempty,
  'not-permitted': ERRNO.perm,
  quota: ERRNO.dquot,
  'read-only': ERRNO.rofs,
  unsupported: ERRNO.notsup,
};

export interface OpenedFile {
  readonly node: Node;
  readonly readable: boolean;
  readonly writable: boolean;
  append: boolean;
  offset: number;
  /** What `fd_readdir` goes through, taken when it begins. */
  listing: readonly DirectoryEntry[] | null;
  /** What that is counted as. */
  listingBytes: number;
}

/** What a program hears of an entry: it keeps no file alive that is removed meanwhile. */
export interface DirectoryEntry {
  readonly name: string;
  readonly id: number;
  readonly directory: boolean;
}

export interface OpenFlags {
  readonly create: boolean;
  readonly directory: boolean;
  readonly exclusive: boolean;
  readonly truncate: boolean;
  readonly read: boolean;
  readonly write: boolean;
  readonly append: boolean;
}

/** All of it is counted as what the host holds for the guest: descriptors, and folders that are gone through. */
export class Files {
  readonly #state: GuestState;
  readonly #volume: GuestVolume;
  readonly #open = new Map<number, OpenedFile>();
  readonly #root: OpenedFile;

  constructor(state: GuestState) {
    const { grants, limits } = state;
    this.#state = state;
    this.#volume = new GuestVolume(grants.files, tmpQuotaBytes(limits.memoryBytes));
    this.#root = opened(this.#volume.root, { read: true, write: false, append: false });
    this.#open.set(ROOT_FD, this.#root);
  }

  /** Gives back what its files took; nothing of them is used any more. */
  close(): void {
    this.#volume.close();
  }

  /** @throws Errno badf */
  get(fd: number): OpenedFile {
    const file = this.#open.get(fd);
    if (!file) throw new Errno(ERRNO.badf);
    return file;
  }

  /** The preopened directory. @throws Errno badf for every other descriptor */
  prestat(fd: number): string {
    if (fd !== ROOT_FD || !this.#open.has(fd)) throw new Errno(ERRNO.badf);
    return ROOT_NAME;
  }

  open(base: number, path: string, flags: OpenFlags): number {
    const { create, directory, exclusive, truncate, write } = flags;
    const fd = this.#free();
    const node = taken(
      this.#volume.open(this.#directory(base), path, { create, directory, exclusive, truncate, write }),
    );
    this.#state.acquire('descriptor');
    if (node instanceof TmpFile) node.hold(1);
    this.#open.set(fd, opened(node, flags));
    return fd;
  }

  closeFd(fd: number): void {
    const file = this.get(fd);
    this.#open.delete(fd);
    this.#forgetListing(file);
    // The first one was not acquired: it is there from the beginning, wherever `fd_renumber` has put it.
    if (file !== this.#root) this.#state.release('descriptor');
    if (file.node instanceof TmpFile) file.node.hold(-1);
  }

  /** `to` becomes what `from` was. */
  renumber(from: number, to: number): void {
    const file = this.get(from);
    this.get(to);
    if (from === to) return;
    this.closeFd(to);
    this.#open.delete(from);
    this.#open.set(to, file);
  }

  /** Reads on from where the last read ended; gives how many bytes. */
  read(fd: number, parts: readonly Uint8Array[]): number {
    const file = this.get(fd);
    const bytes = this.readAt(fd, parts, file.offset);
    file.offset += bytes;
    return bytes;
  }

  readAt(fd: number, parts: readonly Uint8Array[], offset: number): number {
    const file = this.get(fd);
    if (!file.readable) throw new Errno(ERRNO.badf);
    const node = fileOf(file);
    let at = offset;
    for (const part of parts) {
      const bytes = node.read(Math.min(at, node.size), part.length);
      part.set(bytes);
      at += bytes.length;
      if (bytes.length < part.length) break;
    }
    return at - offset;
  }

  write(fd: number, parts: readonly Uint8Array[]): number {
    const file = this.get(fd);
    const from = file.append ? fileOf(file).size : file.offset;
    const bytes = this.writeAt(fd, parts, from);
    file.offset = from + bytes;
    return bytes;
  }

  /** As much as there is room for. @throws Errno where that is nothing */
  writeAt(fd: number, parts: readonly Uint8Array[], offset: number): number {
    const file = this.get(fd);
    const node = fileOf(file);
    if (!file.writable || !(node instanceof TmpFile)) throw new Errno(ERRNO.badf);
    let at = offset;
    for (const part of parts) {
      const problem = node.write(at, part);
      if (problem && at === offset) throw new Errno(ERRNOS[problem]);
      if (problem) break;
      at += part.length;
    }
    return at - offset;
  }

  setSize(fd: number, size: number): void {
    const file = this.get(fd);
    const node = fileOf(file);
    if (!file.writable || !(node instanceof TmpFile)) throw new Errno(ERRNO.badf);
    done(node.setSize(size));
  }

  resolve(base: number, path: string): Node {
    return taken(this.#volume.resolve(this.#directory(base), path));
  }

  createDirectory(base: number, path: string): void {
    done(this.#volume.createDirectory(this.#directory(base), path));
  }

  removeDirectory(base: number, path: string): void {
    done(this.#volume.removeDirectory(this.#directory(base), path));
  }

  unlink(base: number, path: string): void {
    done(this.#volume.unlinkFile(this.#directory(base), path));
  }

  rename(from: number, fromPath: string, to: number, toPath: string): void {
    done(this.#volume.rename(this.#directory(from), fromPath, this.#directory(to), toPath));
  }

  link(from: number, fromPath: string, to: number, toPath: string): void {
    done(this.#volume.link(this.#directory(from), fromPath, this.#directory(to), toPath));
  }

  /** The entries from number `from` on; what is added after the first call (`from` 0) is not among them. */
  *list(fd: number, from: number): Generator<DirectoryEntry> {
    const file = this.get(fd);
    const node = this.#directory(fd);
    if (from === 0 || !file.listing) this.#takeListing(file, node);
    for (let at = from; ; at++) {
      const entry = file.listing?.[at];
      if (!entry) return;
      yield entry;
    }
  }

  #takeListing(file: OpenedFile, directory: DirectoryNode): void {
    this.#forgetListing(file);
    const listing: DirectoryEntry[] = [];
    const add = (name: string, { id, kind }: Node): void => {
      const weight = weightOf(name);
      this.#state.hold(weight);
      file.listingBytes += weight;
      listing.push({ name, id, directory: kind === 'directory' });
    };
    add('.', directory);
    add('..', directory);
    for (const [name, node] of this.#volume.entries(directory)) add(name, node);
    file.listing = listing;
  }

  #forgetListing(file: OpenedFile): void {
    this.#state.hold(-file.listingBytes);
    file.listingBytes = 0;
    file.listing = null;
  }

  #directory(fd: number): DirectoryNode {
    const { node } = this.get(fd);
    if (!isDirectory(node)) throw new Errno(ERRNO.notdir);
    return node;
  }

  #free(): number {
    for (let fd = FIRST_FD; fd < FIRST_FD + MAX_FDS; fd++) if (!this.#open.has(fd)) return fd;
    throw new Errno(ERRNO.mfile);
  }
}

export function isDirectory(node: Node): node is DirectoryNode {
  return node instanceof SharedDirectory || node instanceof TmpDirectory;
}

function opened(node: Node, flags: Pick<OpenFlags, 'read' | 'write' | 'append'>): OpenedFile {
  return {
    node,
    readable: flags.read,
    writable: flags.write,
    append: flags.append,
    offset: 0,
    listing: null,
    listingBytes: 0,
  };
}

/** A string that holds more than Latin-1 has two bytes a character. */
function weightOf(name: string): number {
  return LISTED_ENTRY_WEIGHT + 2 * name.length;
}

function fileOf({ node }: OpenedFile): FileNode {
  if (isDirectory(node)) throw new Errno(ERRNO.isdir);
  return node;
}

function taken(node: Node | FilesystemErrorCode): Node {
  if (typeof node === 'string') throw new Errno(ERRNOS[node]);
  return node;
}

function done(problem: FilesystemErrorCode | null): void {
  if (problem) throw new Errno(ERRNOS[problem]);
}
