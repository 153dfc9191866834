/** `wasi:filesystem/types`: what a guest holds of a file or folder. */
import { FILE_READ_BYTES_CAP } from '../limits.ts';
import { Resource } from '../resource.ts';
import { err, ok, type Result } from '../result.ts';
import type { GuestState } from '../state.ts';
import { InputStream, OutputStream } from '../streams.ts';
import type { FilesystemErrorCode } from './error-code.ts';
import { FileSink, FileSource } from './file-streams.ts';
import { now, type Datetime } from './times.ts';
import { TmpDirectory, TmpFile } from './tmp-tree.ts';
import type { DirectoryNode, FileNode, GuestVolume, Node } from './volume.ts';

type FsResult<Value> = Result<Value, FilesystemErrorCode>;

/** Of `descriptor-type`, what this host has. */
type DescriptorType = 'directory' | 'regular-file';

export interface DescriptorFlags {
  readonly read: boolean;
  readonly write: boolean;
  readonly fileIntegritySync: boolean;
  readonly dataIntegritySync: boolean;
  readonly requestedWriteSync: boolean;
  readonly mutateDirectory: boolean;
}

export interface OpenFlags {
  readonly create: boolean;
  readonly directory: boolean;
  readonly exclusive: boolean;
  readonly truncate: boolean;
}

export interface DescriptorStat {
  readonly type: DescriptorType;
  readonly linkCount: bigint;
  readonly size: bigint;
  readonly dataAccessTimestamp: Datetime | undefined;
  readonly dataModificationTimestamp: Datetime | undefined;
  readonly statusChangeTimestamp: Datetime | undefined;
}

export type NewTimestamp =
  | { readonly tag: 'no-change' | 'now' }
  | { readonly tag: 'timestamp'; readonly val: Datetime };

/** Two numbers that are the same as long as the object is and has not changed. */
export interface MetadataHash {
  readonly lower: bigint;
  readonly upper: bigint;
}

export interface DirectoryEntry {
  readonly type: DescriptorType;
  readonly name: string;
}

/** There are no symbolic links, so it makes no difference whether they are to be followed. */
type PathFlags = unknown;

export class Descriptor extends Resource {
  readonly #volume: GuestVolume;
  readonly #node: Node;
  readonly #access: { readonly read: boolean; readonly write: boolean };

  constructor(
    state: GuestState,
    volume: GuestVolume,
    node: Node,
    access: { readonly read: boolean; readonly write: boolean },
  ) {
    super(state, 'descriptor');
    this.lasting = true;
    this.#volume = volume;
    this.#node = node;
    this.#access = access;
    if (node instanceof TmpFile) node.hold(1);
  }

  readViaStream(offset: bigint): FsResult<InputStream> {
    const file = this.#readable();
    if (typeof file === 'string') return err(file);
    return ok(lasting(new InputStream(this.state, new FileSource(file, asNumber(offset)))));
  }

  writeViaStream(offset: bigint): FsResult<OutputStream> {
    const file = this.#writable();
    if (typeof file === 'string') return err(file);
    return ok(lasting(new OutputStream(this.state, new FileSink(file, asNumber(offset)))));
  }

  appendViaStream(): FsResult<OutputStream> {
    const file = this.#writable();
    if (typeof file === 'string') return err(file);
    return ok(lasting(new OutputStream(this.state, new FileSink(file, null))));
  }

  /** All of it is in memory already. */
  advise(_offset: bigint, _length: bigint, _advice: string): FsResult<undefined> {
    this.state.check();
    return this.#node.kind === 'file' ? ok() : err('bad-descriptor');
  }

  syncData(): FsResult<undefined> {
    this.state.check();
    return ok();
  }

  sync(): FsResult<undefined> {
    this.state.check();
    return ok();
  }

  getFlags(): FsResult<DescriptorFlags> {
    this.state.check();
    const isDirectory = this.#node.kind === 'directory';
    return ok({
      read: this.#access.read,
      write: this.#access.write,
      fileIntegritySync: false,
      dataIntegritySync: false,
      requestedWriteSync: false,
      // The root is no exception: /tmp lies in it.
      mutateDirectory:
        isDirectory && (this.#node instanceof TmpDirectory || this.#node === this.#volume.root),
    });
  }

  getType(): FsResult<DescriptorType> {
    this.state.check();
    return ok(typeOf(this.#node));
  }

  setSize(size: bigint): FsResult<undefined> {
    const file = this.#writable();
    if (typeof file === 'string') return err(file);
    return asResult(file.setSize(asNumber(size)));
  }

  setTimes(accessed: NewTimestamp, modified: NewTimestamp): FsResult<undefined> {
    this.state.check();
    return setTimes(this.#node, accessed, modified);
  }

  setTimesAt(
    _flags: PathFlags,
    path: string,
    accessed: NewTimestamp,
    modified: NewTimestamp,
  ): FsResult<undefined> {
    const node = this.#resolve(path);
    return typeof node === 'string' ? err(node) : setTimes(node, accessed, modified);
  }

  /** At most 1 MiB at a time, and whether that is where the file ends. */
  read(length: bigint, offset: bigint): FsResult<[Uint8Array, boolean]> {
    const file = this.#readable();
    if (typeof file === 'string') return err(file);
    const from = asNumber(offset);
    const bytes = file.read(from, Math.min(asNumber(length), FILE_READ_BYTES_CAP));
    return ok([bytes, from + bytes.byteLength >= file.size]);
  }

  write(buffer: Uint8Array, offset: bigint): FsResult<bigint> {
    const file = this.#writable();
    if (typeof file === 'string') return err(file);
    const problem = file.write(asNumber(offset), buffer);
    return problem ? err(problem) : ok(BigInt(buffer.byteLength));
  }

  readDirectory(): FsResult<DirectoryEntryStream> {
    const directory = this.#directory();
    if (typeof directory === 'string') return err(directory);
    if (directory instanceof TmpDirectory) directory.accessed = now();
    return ok(new DirectoryEntryStream(this.state, this.#volume.entries(directory)));
  }

  createDirectoryAt(path: string): FsResult<undefined> {
    return this.#change((directory) => this.#volume.createDirectory(directory, path));
  }

  stat(): FsResult<DescriptorStat> {
    this.state.check();
    return ok(statOf(this.#node));
  }

  statAt(_flags: PathFlags, path: string): FsResult<DescriptorStat> {
    const node = this.#resolve(path);
    return typeof node === 'string' ? err(node) : ok(statOf(node));
  }

  linkAt(_flags: PathFlags, oldPath: string, target: Descriptor, newPath: string): FsResult<undefined> {
    return this.#change((directory) => {
      const into = target.#directory();
      return typeof into === 'string' ? into : this.#volume.link(directory, oldPath, into, newPath);
    });
  }

  openAt(
    _pathFlags: PathFlags,
    path: string,
    openFlags: OpenFlags,
    flags: Pick<DescriptorFlags, 'read' | 'write'>,
  ): FsResult<Descriptor> {
    const directory = this.#directory();
    if (typeof directory === 'string') return err(directory);
    const node = this.#volume.open(directory, path, { ...openFlags, write: flags.write });
    if (typeof node === 'string') return err(node);
    // Who asks for neither gets a descriptor to read with, as everywhere.
    const access = { read: flags.read || !flags.write, write: flags.write };
    return ok(new Descriptor(this.state, this.#volume, node, access));
  }

  /** Nothing is a symbolic link. */
  readlinkAt(path: string): FsResult<string> {
    const node = this.#resolve(path);
    return err(typeof node === 'string' ? node : 'invalid');
  }

  removeDirectoryAt(path: string): FsResult<undefined> {
    return this.#change((directory) => this.#volume.removeDirectory(directory, path));
  }

  renameAt(oldPath: string, target: Descriptor, newPath: string): FsResult<undefined> {
    return this.#change((directory) => {
      const into = target.#directory();
      return typeof into === 'string' ? into : this.#volume.rename(directory, oldPath, into, newPath);
    });
  }

  /** A link could lead anywhere; nothing here needs one. */
  symlinkAt(_oldPath: string, _newPath: string): FsResult<undefined> {
    return this.#change(() => 'unsupported');
  }

  unlinkFileAt(path: string): FsResult<undefined> {
    return this.#change((directory) => this.#volume.unlinkFile(directory, path));
  }

  isSameObject(other: Descriptor): boolean {
    this.state.check();
    return this.#node === other.#node;
  }

  metadataHash(): FsResult<MetadataHash> {
    this.state.check();
    return ok(hashOf(this.#node));
  }

  metadataHashAt(_flags: PathFlags, path: string): FsResult<MetadataHash> {
    const node = this.#resolve(path);
    return typeof node === 'string' ? err(node) : ok(hashOf(node));
  }

  protected override dropped(): void {
    if (this.#node instanceof TmpFile) this.#node.hold(-1);
  }

  #directory(): DirectoryNode | FilesystemErrorCode {
    this.state.check();
    return this.#node.kind === 'directory' ? this.#node : 'not-directory';
  }

  #resolve(path: string): Node | FilesystemErrorCode {
    const directory = this.#directory();
    return typeof directory === 'string' ? directory : this.#volume.resolve(directory, path);
  }

  #change(change: (directory: DirectoryNode) => FilesystemErrorCode | null): FsResult<undefined> {
    const directory = this.#directory();
    return asResult(typeof directory === 'string' ? directory : change(directory));
  }

  #readable(): FileNode | FilesystemErrorCode {
    this.state.check();
    if (this.#node.kind === 'directory') return 'is-directory';
    return this.#access.read ? this.#node : 'bad-descriptor';
  }

  #writable(): TmpFile | FilesystemErrorCode {
    this.state.check();
    if (this.#node.kind === 'directory') return 'is-directory';
    // A file that may not be written to cannot have been opened for that.
    return this.#access.write && this.#node instanceof TmpFile ? this.#node : 'bad-descriptor';
  }
}

/** The entries of a folder, one at a time. */
export class DirectoryEntryStream extends Resource {
  readonly #entries: Iterator<readonly [name: string, node: Node]>;

  constructor(state: GuestState, entries: Iterator<readonly [name: string, node: Node]>) {
    super(state, 'directory-entry-stream');
    this.lasting = true;
    this.#entries = entries;
  }

  readDirectoryEntry(): FsResult<DirectoryEntry | undefined> {
    this.state.check();
    const next = this.#entries.next();
    if (next.done === true) return ok(undefined);
    const [name, node] = next.value;
    return ok({ type: typeOf(node), name });
  }
}

/** An open file stays open for as long as its instance lives. */
function lasting<Stream extends Resource>(stream: Stream): Stream {
  stream.lasting = true;
  return stream;
}

/** Larger numbers are all too large here. */
function asNumber(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}

function asResult(problem: FilesystemErrorCode | null): FsResult<undefined> {
  return problem ? err(problem) : ok();
}

function typeOf(node: Node): DescriptorType {
  return node.kind === 'directory' ? 'directory' : 'regular-file';
}

function statOf(node: Node): DescriptorStat {
  const isTmp = node instanceof TmpFile || node instanceof TmpDirectory;
  return {
    type: typeOf(node),
    linkCount: BigInt(node instanceof TmpFile ? node.links : 1),
    size: BigInt(node.kind === 'file' ? node.size : 0),
    dataAccessTimestamp: isTmp ? node.accessed : node.modified,
    dataModificationTimestamp: node.modified,
    statusChangeTimestamp: isTmp ? node.changed : node.modified,
  };
}

function hashOf(node: Node): MetadataHash {
  return { lower: BigInt(node.id), upper: BigInt(node instanceof TmpFile ? node.version : 0) };
}

function setTimes(node: Node, accessed: NewTimestamp, modified: NewTimestamp): FsResult<undefined> {
  if (!(node instanceof TmpFile || node instanceof TmpDirectory)) return err('read-only');
  if (!isDatetime(accessed) || !isDatetime(modified)) return err('invalid');
  node.accessed = timeFrom(accessed, node.accessed);
  node.modified = timeFrom(modified, node.modified);
  node.changed = now();
  return ok();
}

function isDatetime(time: NewTimestamp): boolean {
  return time.tag !== 'timestamp' || time.val.nanoseconds < 1_000_000_000;
}

function timeFrom(time: NewTimestamp, before: Datetime): Datetime {
  if (time.tag === 'timestamp') return time.val;
  return time.tag === 'now' ? now() : before;
}
