/** The functions of WASI preview 1 that take a descriptor or a path; see `files.ts` for what they work on. */
import { TmpDirectory, TmpFile } from '../wasi/filesystem/tmp-tree.ts';
import { datetimeOf, type Datetime } from '../wasi/filesystem/times.ts';
import type { Node } from '../wasi/filesystem/volume.ts';
import { ERRNO } from './errno.ts';
import { isDirectory, type DirectoryEntry } from './files.ts';
import { Errno } from './guest-memory.ts';
import { FD, UNSTABLE, type CommandGuest, type HostFunctions } from './guest.ts';

const FILETYPE = { characterDevice: 2, directory: 3, regularFile: 4 } as const;
const RIGHT = { read: 1n << 1n, write: 1n << 6n, poll: 1n << 27n, all: (1n << 30n) - 1n } as const;
/** What only a file that may be written to has: fd_write, fd_allocate, fd_filestat_set_size. */
const WRITE_RIGHTS = RIGHT.write | (1n << 8n) | (1n << 22n);
const FDFLAG = { append: 1 } as const;
const OFLAG = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const;
const SET_TIME = { accessed: 1, accessedNow: 2, modified: 4, modifiedNow: 8 } as const;
const DIRENT_BYTES = 24;
const FDSTAT_BYTES = 24;
const FILESTAT_BYTES = 64;
/** The order of set, current and end in `fd_seek`. */
const WHENCE = ['set', 'current', 'end'] as const;
const UNSTABLE_WHENCE = ['current', 'end', 'set'] as const;

const encoder = new TextEncoder();

function isStandard(fd: number): boolean {
  return fd >= FD.stdin && fd <= FD.stderr;
}

/** @throws Errno inval for an offset that no file has */
function offsetOf(offset: bigint): number {
  if (offset < 0n || offset > BigInt(Number.MAX_SAFE_INTEGER)) throw new Errno(ERRNO.inval);
  return Number(offset);
}

const ofDescriptors: HostFunctions = {
  fd_close: ({ run }, fd: number) => {
    if (!isStandard(fd)) run.files.closeFd(fd);
    return ERRNO.success;
  },
  fd_renumber: ({ run }, from: number, to: number) => {
    if (isStandard(from) || isStandard(to)) return ERRNO.notsup;
    run.files.renumber(from, to);
    return ERRNO.success;
  },
  fd_prestat_get: ({ run, memory }, fd: number, pointer: number) => {
    const name = run.files.prestat(fd);
    memory.setU32(pointer, 0);
    memory.setU32(pointer + 4, encoder.encode(name).length);
    return ERRNO.success;
  },
  fd_prestat_dir_name: ({ run, memory }, fd: number, pointer: number, length: number) => {
    const name = encoder.encode(run.files.prestat(fd));
    if (name.length > length >>> 0) return ERRNO.nametoolong;
    memory.place(pointer, name.length).set(name);
    return ERRNO.success;
  },
  fd_fdstat_get: ({ run, memory }, fd: number, pointer: number) => {
    const place = memory.place(pointer, FDSTAT_BYTES);
    if (isStandard(fd)) {
      place.fill(0);
      memory.setU8(pointer, FILETYPE.characterDevice);
      memory.setU64(pointer + 8, RIGHT.poll | (fd === FD.stdin ? RIGHT.read : RIGHT.write));
      return ERRNO.success;
    }
    const { node, append, readable, writable } = run.files.get(fd);
    const directory = isDirectory(node);
    place.fill(0);
    memory.setU8(pointer, directory ? FILETYPE.directory : FILETYPE.regularFile);
    memory.setU16(pointer + 2, append ? FDFLAG.append : 0);
    const rights = directory
      ? RIGHT.all
      : (readable ? RIGHT.all & ~WRITE_RIGHTS : 0n) | (writable ? WRITE_RIGHTS : 0n);
    memory.setU64(pointer + 8, rights);
    memory.setU64(pointer + 16, directory ? RIGHT.all : 0n);
    return ERRNO.success;
  },
  fd_fdstat_set_flags: ({ run }, fd: number, flags: number) => {
    if (!isStandard(fd)) run.files.get(fd).append = (flags & FDFLAG.append) !== 0;
    return ERRNO.success;
  },
  fd_fdstat_set_rights: ({ run }, fd: number) => onFile(fd, () => run.files.get(fd)),
  fd_advise: ({ run }, fd: number) => onFile(fd, () => run.files.get(fd), ERRNO.spipe),
  fd_allocate: ({ run }, fd: number) => onFile(fd, () => run.files.get(fd), ERRNO.notsup, ERRNO.notsup),
  fd_datasync: ({ run }, fd: number) => onFile(fd, () => run.files.get(fd)),
  fd_sync: ({ run }, fd: number) => onFile(fd, () => run.files.get(fd)),
};

/** Where nothing is to be done but to find the descriptor. */
function onFile(
  fd: number,
  find: () => unknown,
  ofStreams: number = ERRNO.success,
  ofFiles: number = ERRNO.success,
): number {
  if (isStandard(fd)) return ofStreams;
  find();
  return ofFiles;
}

const ofContents: HostFunctions = {
  fd_pread: ({ run, memory }, fd: number, parts: number, count: number, offset: bigint, size: number) => {
    if (isStandard(fd)) return ERRNO.spipe;
    memory.setU32(size, run.files.readAt(fd, memory.placeParts(parts, count), offsetOf(offset)));
    return ERRNO.success;
  },
  fd_pwrite: ({ run, memory }, fd: number, parts: number, count: number, offset: bigint, size: number) => {
    if (isStandard(fd)) return ERRNO.spipe;
    memory.setU32(size, run.files.writeAt(fd, memory.readParts(parts, count), offsetOf(offset)));
    return ERRNO.success;
  },
  fd_seek: (guest, fd: number, delta: bigint, whence: number, pointer: number) => {
    if (isStandard(fd)) return ERRNO.spipe;
    const from = (guest.dialect === UNSTABLE ? UNSTABLE_WHENCE : WHENCE)[whence & 0xff];
    const file = guest.run.files.get(fd);
    if (!from || isDirectory(file.node)) return ERRNO.inval;
    const base = { set: 0, current: file.offset, end: file.node.size }[from];
    file.offset = offsetOf(BigInt(base) + delta);
    guest.memory.setU64(pointer, BigInt(file.offset));
    return ERRNO.success;
  },
  fd_tell: ({ run, memory }, fd: number, pointer: number) => {
    if (isStandard(fd)) return ERRNO.spipe;
    memory.setU64(pointer, BigInt(run.files.get(fd).offset));
    return ERRNO.success;
  },
  fd_readdir: (
    { run, memory },
    fd: number,
    pointer: number,
    length: number,
    cookie: bigint,
    used: number,
  ) => {
    if (isStandard(fd)) return ERRNO.notdir;
    const place = memory.place(pointer, length);
    let at = 0;
    let next = offsetOf(cookie);
    for (const listed of run.files.list(fd, next)) {
      next++;
      const entry = direntOf(listed, next).subarray(0, place.length - at);
      place.set(entry, at);
      at += entry.length;
      if (at === place.length) break;
    }
    memory.setU32(used, at);
    return ERRNO.success;
  },
};

function direntOf({ name, id, directory }: DirectoryEntry, next: number): Uint8Array {
  const text = encoder.encode(name);
  const bytes = new Uint8Array(DIRENT_BYTES + text.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(next), true);
  view.setBigUint64(8, BigInt(id), true);
  view.setUint32(16, text.length, true);
  view.setUint8(20, directory ? FILETYPE.directory : FILETYPE.regularFile);
  bytes.set(text, DIRENT_BYTES);
  return bytes;
}

const ofAttributes: HostFunctions = {
  fd_filestat_get: (guest, fd: number, pointer: number) => {
    if (!isStandard(fd)) return writeFilestat(guest, pointer, guest.run.files.get(fd).node);
    writeStat(guest, pointer, {
      type: FILETYPE.characterDevice,
      id: 0,
      links: 1,
      size: 0,
      times: [0n, 0n, 0n],
    });
    return ERRNO.success;
  },
  fd_filestat_set_size: ({ run }, fd: number, size: bigint) => {
    if (isStandard(fd)) return ERRNO.inval;
    run.files.setSize(fd, offsetOf(size));
    return ERRNO.success;
  },
  fd_filestat_set_times: ({ run }, fd: number, accessed: bigint, modified: bigint, flags: number) =>
    isStandard(fd) ? ERRNO.notsup : setTimes(run.files.get(fd).node, { accessed, modified, flags }),
  path_filestat_get: (guest, fd: number, _flags: number, path: number, length: number, pointer: number) =>
    writeFilestat(guest, pointer, guest.run.files.resolve(fd, guest.memory.path(path, length))),
  path_filestat_set_times: (
    { run, memory },
    fd: number,
    _lookup: number,
    path: number,
    length: number,
    accessed: bigint,
    modified: bigint,
    flags: number,
  ) => setTimes(run.files.resolve(fd, memory.path(path, length)), { accessed, modified, flags }),
};

interface Stat {
  readonly type: number;
  readonly id: number;
  readonly links: number;
  readonly size: number;
  /** Of access, modification and change, ns. */
  readonly times: readonly [bigint, bigint, bigint];
}

function writeFilestat(guest: CommandGuest, pointer: number, node: Node): number {
  const own = node instanceof TmpFile || node instanceof TmpDirectory;
  const modified = ns(node.modified);
  writeStat(guest, pointer, {
    type: isDirectory(node) ? FILETYPE.directory : FILETYPE.regularFile,
    id: node.id,
    links: node instanceof TmpFile ? node.links : 1,
    size: isDirectory(node) ? 0 : node.size,
    times: own ? [ns(node.accessed), modified, ns(node.changed)] : [modified, modified, modified],
  });
  return ERRNO.success;
}

function writeStat(
  { memory, dialect }: CommandGuest,
  pointer: number,
  { type, id, links, size, times }: Stat,
): void {
  const old = dialect === UNSTABLE;
  // In 2019 the number of links had 32 bits, and lay right behind the type.
  memory.place(pointer, old ? FILESTAT_BYTES - 8 : FILESTAT_BYTES).fill(0);
  memory.setU64(pointer + 8, BigInt(id));
  memory.setU8(pointer + 16, type);
  if (old) memory.setU32(pointer + 20, links);
  else memory.setU64(pointer + 24, BigInt(links));
  const rest = pointer + (old ? 24 : 32);
  memory.setU64(rest, BigInt(size));
  for (const [i, time] of times.entries()) memory.setU64(rest + 8 + i * 8, time);
}

function ns({ seconds, nanoseconds }: Datetime): bigint {
  return seconds * 1_000_000_000n + BigInt(nanoseconds);
}

interface NewTimes {
  readonly accessed: bigint;
  readonly modified: bigint;
  readonly flags: number;
}

function setTimes(node: Node, { accessed, modified, flags }: NewTimes): number {
  if (!(node instanceof TmpFile || node instanceof TmpDirectory)) return ERRNO.rofs;
  const pick = (given: number, asNow: number, time: bigint, before: Datetime): Datetime => {
    if ((flags & given) !== 0 && (flags & asNow) !== 0) throw new Errno(ERRNO.inval);
    if ((flags & asNow) !== 0) return datetimeOf(Date.now());
    const unsigned = BigInt.asUintN(64, time);
    if ((flags & given) === 0) return before;
    return { seconds: unsigned / 1_000_000_000n, nanoseconds: Number(unsigned % 1_000_000_000n) };
  };
  const nextAccessed = pick(SET_TIME.accessed, SET_TIME.accessedNow, accessed, node.accessed);
  node.modified = pick(SET_TIME.modified, SET_TIME.modifiedNow, modified, node.modified);
  node.accessed = nextAccessed;
  return ERRNO.success;
}

const ofPaths: HostFunctions = {
  path_open: (
    { run, memory },
    base: number,
    _lookup: number,
    path: number,
    length: number,
    oflags: number,
    rights: bigint,
    _inherited: bigint,
    fdflags: number,
    pointer: number,
  ) => {
    // Before anything is made: a bad pointer must not leave a descriptor that nobody knows.
    memory.place(pointer, 4);
    const fd = run.files.open(base, memory.path(path, length), {
      create: (oflags & OFLAG.create) !== 0,
      directory: (oflags & OFLAG.directory) !== 0,
      exclusive: (oflags & OFLAG.exclusive) !== 0,
      truncate: (oflags & OFLAG.truncate) !== 0,
      read: (rights & RIGHT.read) !== 0n,
      write: (rights & RIGHT.write) !== 0n,
      append: (fdflags & FDFLAG.append) !== 0,
    });
    memory.setU32(pointer, fd);
    return ERRNO.success;
  },
  path_create_directory: ({ run, memory }, fd: number, path: number, length: number) => {
    run.files.createDirectory(fd, memory.path(path, length));
    return ERRNO.success;
  },
  path_remove_directory: ({ run, memory }, fd: number, path: number, length: number) => {
    run.files.removeDirectory(fd, memory.path(path, length));
    return ERRNO.success;
  },
  path_unlink_file: ({ run, memory }, fd: number, path: number, length: number) => {
    run.files.unlink(fd, memory.path(path, length));
    return ERRNO.success;
  },
  path_rename: (
    { run, memory },
    from: number,
    fromPath: number,
    fromLength: number,
    to: number,
    toPath: number,
    toLength: number,
  ) => {
    run.files.rename(from, memory.path(fromPath, fromLength), to, memory.path(toPath, toLength));
    return ERRNO.success;
  },
  path_link: (
    { run, memory },
    from: number,
    _lookup: number,
    fromPath: number,
    fromLength: number,
    to: number,
    toPath: number,
    toLength: number,
  ) => {
    run.files.link(from, memory.path(fromPath, fromLength), to, memory.path(toPath, toLength));
    return ERRNO.success;
  },
  // There are no symbolic links.
  path_symlink: () => ERRNO.notsup,
  path_readlink: ({ run, memory }, fd: number, path: number, length: number) => {
    run.files.resolve(fd, memory.path(path, length));
    return ERRNO.inval;
  },
};

export const FILE_FUNCTIONS: HostFunctions = {
  ...ofDescriptors,
  ...ofContents,
  ...ofAttributes,
  ...ofPaths,
};
