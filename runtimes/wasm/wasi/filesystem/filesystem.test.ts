import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { GuestFileSet } from '../../engine.ts';
import { FILE_READ_BYTES_CAP, HANDLE_CAPS, TMP_BYTES_OF_A_THREAD_CAP, TMP_ENTRIES_CAP } from '../limits.ts';
import type { Result } from '../result.ts';
import type { GuestState } from '../state.ts';
import { MemoryInvocation } from '../testing/memory-invocation.ts';
import type { Descriptor, DirectoryEntry } from './descriptor.ts';
import { filesystemErrorCode, getDirectories, GuestVolume, packFiles, tmpQuotaBytes } from './index.ts';

const MIB = 1024 * 1024;
const NOTHING = { create: false, directory: false, exclusive: false, truncate: false };
const READ = { read: true, write: false };
const WRITE = { read: true, write: true };
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

const states: GuestState[] = [];
afterEach(() => {
  for (const state of states.splice(0)) state.close();
});

function filesOf(files: Record<string, string>): GuestFileSet {
  const entries = Object.entries(files).map(([path, content]) => ({
    path,
    content: Buffer.from(content),
    modifiedMs: 1_700_000_000_500,
  }));
  const set = packFiles(entries);
  if (!set) throw new Error('no files');
  return set;
}

/** A guest with these files, and its root. */
function guestWith(...files: GuestFileSet[]): { state: GuestState; root: Descriptor } {
  const { state } = new MemoryInvocation(files.length === 0 ? {} : { grants: { files } });
  states.push(state);
  const [[root, name] = []] = getDirectories(state);
  if (!root) throw new Error('no root');
  expect(name).toBe('/');
  return { state, root };
}

function value<T>(result: Result<T, unknown>): T {
  if (result.tag === 'err') throw new Error(`failed: ${String(result.val)}`);
  return result.val;
}

const codeOf = (result: Result<unknown, unknown>): unknown => (result.tag === 'err' ? result.val : 'ok');

function open(
  root: Descriptor,
  path: string,
  flags: Partial<typeof NOTHING> = {},
  access = READ,
): Descriptor {
  return value(root.openAt({}, path, { ...NOTHING, ...flags }, access));
}

function write(root: Descriptor, path: string, content: string): void {
  const file = open(root, path, { create: true, truncate: true }, WRITE);
  expect(value(file.write(Buffer.from(content), 0n))).toBe(BigInt(Buffer.byteLength(content)));
  file[Symbol.dispose]();
}

function read(root: Descriptor, path: string): string {
  const file = open(root, path);
  const [bytes, isEnd] = value(file.read(1_000_000n, 0n));
  expect(isEnd).toBe(true);
  file[Symbol.dispose]();
  return text(bytes);
}

function list(root: Descriptor, path: string): string[] {
  const stream = value(open(root, path).readDirectory());
  const names: string[] = [];
  for (let entry = next(); entry; entry = next()) {
    names.push(entry.type === 'directory' ? `${entry.name}/` : entry.name);
  }
  return names.toSorted();

  function next(): DirectoryEntry | undefined {
    return value(stream.readDirectoryEntry());
  }
}

describe('read-only files', () => {
  const set = filesOf({ 'index.html': '<p>', 'templates/a/page.html': 'page', 'templates/b.html': 'b' });

  it('are read by relative paths, listed, and told about', () => {
    const { root } = guestWith(set);
    expect(read(root, 'templates/a/page.html')).toBe('page');
    expect(read(root, './templates//a/../b.html')).toBe('b');
    expect(list(root, '.')).toEqual(['index.html', 'templates/', 'tmp/']);
    expect(list(root, 'templates')).toEqual(['a/', 'b.html']);
    const stat = value(root.statAt({}, 'index.html'));
    const time = { seconds: 1_700_000_000n, nanoseconds: 500_000_000 };
    expect(stat).toEqual({
      type: 'regular-file',
      linkCount: 1n,
      size: 3n,
      dataAccessTimestamp: time,
      dataModificationTimestamp: time,
      statusChangeTimestamp: time,
    });
    expect(value(root.statAt({}, 'templates')).type).toBe('directory');
  });

  it('are read in parts, and by streams, up to their end', () => {
    const { root } = guestWith(filesOf({ a: 'abcdef' }));
    const file = open(root, 'a');
    expect(value(file.read(3n, 2n)).map(String)).toEqual([String(Buffer.from('cde').join(',')), 'false']);
    expect(value(file.read(3n, 6n))[1]).toBe(true);
    expect(value(file.read(3n, 2n ** 63n))[0].byteLength).toBe(0);
    const stream = value(file.readViaStream(4n));
    file[Symbol.dispose]();
    expect(text(value(stream.read(100n)))).toBe('ef');
    expect(codeOf(stream.read(100n))).toEqual({ tag: 'closed' });
  });

  it('are read at most 1 MiB at once, whatever is asked for', () => {
    const { root } = guestWith(filesOf({ big: 'x'.repeat(3 * MIB) }));
    const file = open(root, 'big');
    const [bytes, isEnd] = value(file.read(2n ** 64n - 1n, 0n));
    expect([bytes.byteLength, isEnd]).toEqual([FILE_READ_BYTES_CAP, false]);
    const chunk = value(value(file.readViaStream(0n)).read(2n ** 64n - 1n));
    expect(chunk.byteLength).toBe(FILE_READ_BYTES_CAP);
    // It may leave the thread, which shared memory cannot.
    expect(chunk.buffer).toBeInstanceOf(ArrayBuffer);
  });

  it('cannot be changed in any way', () => {
    const { root } = guestWith(set);
    const file = open(root, 'index.html');
    const attempts: Record<string, Result<unknown, unknown>> = {
      'open to write': root.openAt({}, 'index.html', NOTHING, WRITE),
      'open to truncate': root.openAt({}, 'index.html', { ...NOTHING, truncate: true }, WRITE),
      create: root.openAt({}, 'templates/new', { ...NOTHING, create: true }, WRITE),
      'create in the root': root.openAt({}, 'new', { ...NOTHING, create: true }, WRITE),
      folder: root.createDirectoryAt('new'),
      unlink: root.unlinkFileAt('index.html'),
      'remove folder': root.removeDirectoryAt('templates'),
      rename: root.renameAt('index.html', root, 'tmp/x'),
      'rename within': root.renameAt('index.html', root, 'x'),
      'rename over': root.renameAt('tmp', root, 'templates'),
      link: root.linkAt({}, 'index.html', root, 'tmp/x'),
      times: file.setTimes({ tag: 'now' }, { tag: 'now' }),
    };
    const { 'rename over': overTmp, ...others } = attempts;
    expect(overTmp && codeOf(overTmp)).toBe('busy');
    for (const [what, result] of Object.entries(others))
      expect([what, codeOf(result)]).toEqual([what, 'read-only']);
    for (const result of [file.write(Buffer.from('x'), 0n), file.setSize(0n), file.writeViaStream(0n)]) {
      expect(codeOf(result)).toBe('bad-descriptor');
    }
    expect(read(root, 'index.html')).toBe('<p>');
  });

  it('of later sets take the place of earlier ones', () => {
    const { root } = guestWith(filesOf({ a: '1', b: '1', 'c/d': '1' }), filesOf({ b: '2', c: '2' }));
    expect([read(root, 'a'), read(root, 'b'), read(root, 'c')]).toEqual(['1', '2', '2']);
  });

  it('share one tree over all instances, and /tmp hides a folder of its name', () => {
    const files = [filesOf({ 'tmp/hidden': 'x', 'tmp2/seen': 'y' })];
    expect(new GuestVolume(files).root).toBe(new GuestVolume(files).root);
    const { root } = guestWith(...files);
    expect([list(root, '.'), list(root, 'tmp')]).toEqual([['tmp/', 'tmp2/'], []]);
    expect(codeOf(root.openAt({}, 'tmp/hidden', NOTHING, READ))).toBe('no-entry');
  });
});

describe('paths', () => {
  it.each<[string, string]>([
    ['', 'no-entry'],
    ['/a', 'not-permitted'],
    ['//a', 'not-permitted'],
    ['..', 'not-permitted'],
    ['../a', 'not-permitted'],
    ['dir/../../a', 'not-permitted'],
    ['dir/./../.././dir/a', 'not-permitted'],
    ['no/../a', 'no-entry'],
    ['a/../dir', 'not-directory'],
    ['a/', 'not-directory'],
    ['a/.', 'not-directory'],
    ['a\0', 'invalid'],
    ['x'.repeat(256), 'name-too-long'],
    ['ü'.repeat(128), 'name-too-long'],
    ['x/'.repeat(3000), 'name-too-long'],
    ['..\\a', 'no-entry'],
    ['__proto__', 'no-entry'],
    ['constructor', 'no-entry'],
    ['dir/a', 'ok'],
    ['./dir//a', 'ok'],
    ['dir/../a', 'ok'],
    ['dir/..', 'ok'],
    ['.', 'ok'],
    ['tmp/../dir/', 'ok'],
  ])('%j: %s', (path, code) => {
    const { root } = guestWith(filesOf({ a: '1', 'dir/a': '2' }));
    expect(codeOf(root.openAt({}, path, NOTHING, READ))).toBe(code);
    expect(codeOf(root.statAt({}, path))).toBe(code);
  });

  it('never lead above the folder that they begin in', () => {
    const { root } = guestWith(filesOf({ secret: 's', 'dir/in/a': 'inside' }));
    const inner = open(root, 'dir');
    const step = fc.constantFrom('..', '.', '', 'in', 'a', 'dir', 'secret', 'tmp', '/', '...', '..\\');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const opened = inner.openAt({}, steps.join('/'), NOTHING, READ);
        if (opened.tag === 'err') return;
        const found = opened.val;
        const inside = [inner, open(inner, 'in'), open(inner, 'in/a')];
        expect(inside.some((each) => each.isSameObject(found))).toBe(true);
        for (const each of [...inside.slice(1), found]) each[Symbol.dispose]();
      }),
    );
  });
});

describe('/tmp', () => {
  it('is empty at first, and takes what a program does to files', () => {
    const { root } = guestWith();
    expect(list(root, 'tmp')).toEqual([]);
    value(root.createDirectoryAt('tmp/a'));
    write(root, 'tmp/a/one', '12345');
    const appending = value(open(root, 'tmp/a/one', {}, WRITE).appendViaStream());
    value(appending.checkWrite());
    value(appending.write(Buffer.from('67')));
    expect(read(root, 'tmp/a/one')).toBe('1234567');
    value(root.renameAt('tmp/a/one', root, 'tmp/two'));
    expect([list(root, 'tmp'), list(root, 'tmp/a')]).toEqual([['a/', 'two'], []]);
    const file = open(root, 'tmp/two', {}, WRITE);
    value(file.setSize(3n));
    value(file.setSize(5n));
    expect(read(root, 'tmp/two')).toBe('123\0\0');
    value(file.write(Buffer.from('x'), 7n));
    expect(read(root, 'tmp/two')).toBe('123\0\0\0\0x');
    value(root.linkAt({}, 'tmp/two', root, 'tmp/three'));
    expect(value(file.stat()).linkCount).toBe(2n);
    value(root.unlinkFileAt('tmp/two'));
    expect(read(root, 'tmp/three')).toBe('123\0\0\0\0x');
    value(root.removeDirectoryAt('tmp/a'));
    expect(list(root, 'tmp')).toEqual(['three']);
  });

  it('answers by the codes of the interface', () => {
    const { root } = guestWith(filesOf({ ro: 'x' }));
    value(root.createDirectoryAt('tmp/d'));
    write(root, 'tmp/f', 'f');
    write(root, 'tmp/d/f', 'f');
    const file = open(root, 'tmp/f');
    const flags = (over: Partial<typeof NOTHING>): typeof NOTHING => ({ ...NOTHING, ...over });
    const cases: [Result<unknown, unknown>, string][] = [
      [root.openAt({}, 'tmp/f', flags({ create: true, exclusive: true }), WRITE), 'exist'],
      [root.openAt({}, 'tmp/f', flags({ directory: true }), READ), 'not-directory'],
      [root.openAt({}, 'tmp/d', flags({}), WRITE), 'is-directory'],
      [root.openAt({}, 'tmp/d', flags({ create: true }), READ), 'is-directory'],
      [root.openAt({}, 'tmp/x', flags({ create: true, directory: true }), READ), 'invalid'],
      [root.openAt({}, 'tmp/f', flags({ truncate: true }), READ), 'invalid'],
      [root.openAt({}, 'tmp/x/', flags({ create: true }), WRITE), 'is-directory'],
      [root.openAt({}, 'tmp/no/x', flags({ create: true }), WRITE), 'no-entry'],
      [root.createDirectoryAt('tmp/d'), 'exist'],
      [root.createDirectoryAt('tmp/d/..'), 'exist'],
      [root.createDirectoryAt('tmp'), 'exist'],
      [root.unlinkFileAt('tmp/d'), 'is-directory'],
      [root.unlinkFileAt('tmp/x'), 'no-entry'],
      [root.unlinkFileAt('tmp/f/'), 'not-directory'],
      [root.removeDirectoryAt('tmp/f'), 'not-directory'],
      [root.removeDirectoryAt('tmp/d'), 'not-empty'],
      [root.removeDirectoryAt('tmp/d/.'), 'not-empty'],
      [root.removeDirectoryAt('tmp'), 'busy'],
      [root.renameAt('tmp', root, 'tmp/d/t'), 'busy'],
      [root.renameAt('tmp/d', root, 'tmp/d/in'), 'invalid'],
      [root.renameAt('tmp/f', root, 'tmp/d'), 'is-directory'],
      [root.renameAt('tmp/d', root, 'tmp/f'), 'not-directory'],
      [root.renameAt('tmp/f', root, 'ro'), 'read-only'],
      [root.renameAt('tmp/x', root, 'tmp/y'), 'no-entry'],
      [root.linkAt({}, 'tmp/f', root, 'tmp/d/f'), 'exist'],
      [root.linkAt({}, 'tmp/d', root, 'tmp/e'), 'not-permitted'],
      [root.symlinkAt('/etc/passwd', 'tmp/l'), 'unsupported'],
      [root.readlinkAt('tmp/f'), 'invalid'],
      [file.statAt({}, 'x'), 'not-directory'],
      [file.openAt({}, 'x', NOTHING, READ), 'not-directory'],
      [file.readDirectory(), 'not-directory'],
      [file.write(Buffer.from('x'), 0n), 'bad-descriptor'],
      [root.read(1n, 0n), 'is-directory'],
      [
        root.setTimesAt(
          {},
          'tmp/f',
          { tag: 'no-change' },
          { tag: 'timestamp', val: { seconds: 1n, nanoseconds: 2e9 } },
        ),
        'invalid',
      ],
    ];
    expect(cases.map(([result]) => codeOf(result))).toEqual(cases.map(([, code]) => code));
    expect(read(root, 'tmp/f')).toBe('f');
  });

  it('keeps a removed file for those who hold it, and nothing of a removed folder', () => {
    const { root, state } = guestWith();
    write(root, 'tmp/f', 'content');
    const file = open(root, 'tmp/f');
    value(root.unlinkFileAt('tmp/f'));
    expect(text(value(file.read(100n, 0n))[0])).toBe('content');
    expect(state.volume.tmpBytes).toBe(7);
    const stream = value(file.readViaStream(0n));
    file[Symbol.dispose]();
    expect(text(value(stream.read(100n)))).toBe('content');
    stream[Symbol.dispose]();
    expect(state.volume.tmpBytes).toBe(0);
    value(root.createDirectoryAt('tmp/d'));
    const folder = open(root, 'tmp/d');
    value(root.removeDirectoryAt('tmp/d'));
    expect(codeOf(folder.openAt({}, 'x', { ...NOTHING, create: true }, WRITE))).toBe('no-entry');
    expect(codeOf(folder.createDirectoryAt('x'))).toBe('no-entry');
  });

  it('sets times, and changes the hash with the content', () => {
    const { root } = guestWith();
    write(root, 'tmp/f', '1');
    const val = { seconds: 12n, nanoseconds: 34 };
    value(root.setTimesAt({}, 'tmp/f', { tag: 'no-change' }, { tag: 'timestamp', val }));
    expect(value(root.statAt({}, 'tmp/f')).dataModificationTimestamp).toEqual(val);
    const before = value(root.metadataHashAt({}, 'tmp/f'));
    expect(value(root.metadataHashAt({}, 'tmp/f'))).toEqual(before);
    write(root, 'tmp/f', '2');
    const after = value(root.metadataHashAt({}, 'tmp/f'));
    expect(after.lower).toBe(before.lower);
    expect(after.upper).not.toBe(before.upper);
  });

  it('lists what is added meanwhile without end in sight only if the guest adds without end', () => {
    const { root } = guestWith();
    write(root, 'tmp/a', '');
    const stream = value(open(root, 'tmp').readDirectory());
    expect(value(stream.readDirectoryEntry())?.name).toBe('a');
    write(root, 'tmp/b', '');
    value(root.unlinkFileAt('tmp/a'));
    expect(value(stream.readDirectoryEntry())?.name).toBe('b');
    expect(value(stream.readDirectoryEntry())).toBeUndefined();
  });

  it('is another one for each instance', () => {
    const [one, two] = [guestWith(), guestWith()];
    write(one.root, 'tmp/mine', 'x');
    expect(list(two.root, 'tmp')).toEqual([]);
    expect(one.root.isSameObject(two.root)).toBe(true);
    expect(open(one.root, 'tmp').isSameObject(open(two.root, 'tmp'))).toBe(false);
  });
});

describe('the quota of /tmp', () => {
  it('is 16 MiB, or a quarter of the memory limit', () => {
    expect([tmpQuotaBytes(16 * MIB), tmpQuotaBytes(1024 * MIB)]).toEqual([4 * MIB, 16 * MIB]);
  });

  it('holds for writes, sizes, holes and streams, and what is freed may be used again', () => {
    const { root, state } = guestWith();
    const quota = tmpQuotaBytes(state.limits.memoryBytes);
    const file = open(root, 'tmp/f', { create: true }, WRITE);
    expect(codeOf(file.setSize(2n ** 64n - 1n))).toBe('quota');
    expect(codeOf(file.write(Buffer.from('x'), 2n ** 63n))).toBe('quota');
    expect(codeOf(file.write(Buffer.from('x'), BigInt(quota)))).toBe('quota');
    value(file.setSize(BigInt(quota)));
    const other = open(root, 'tmp/g', { create: true }, WRITE);
    expect(codeOf(other.write(Buffer.from('x'), 0n))).toBe('quota');
    const stream = value(other.writeViaStream(0n));
    value(stream.checkWrite());
    const failed = stream.write(Buffer.from('x'));
    if (failed.tag !== 'err' || failed.val.tag !== 'last-operation-failed') throw new Error('it was written');
    expect(filesystemErrorCode(state, failed.val.val)).toBe('quota');
    expect(codeOf(stream.checkWrite())).toEqual({ tag: 'closed' });
    value(file.setSize(0n));
    value(other.write(Buffer.from('x'), 0n));
    expect(state.volume.tmpBytes).toBe(1);
  });

  it('counts names, also of empty files, links and folders', () => {
    const { root } = guestWith();
    write(root, 'tmp/f', '');
    // /tmp itself is one of them.
    for (let made = 2; made < TMP_ENTRIES_CAP; made += 1)
      value(root.linkAt({}, 'tmp/f', root, `tmp/${made}`));
    expect(codeOf(root.createDirectoryAt('tmp/d'))).toBe('quota');
    expect(codeOf(root.linkAt({}, 'tmp/f', root, 'tmp/l'))).toBe('quota');
    expect(codeOf(root.openAt({}, 'tmp/n', { ...NOTHING, create: true }, WRITE))).toBe('quota');
    value(root.unlinkFileAt('tmp/2'));
    value(root.createDirectoryAt('tmp/d'));
  });

  it('of all instances of a thread together ends in an error of its own, and closed ones give theirs back', () => {
    const volumes: GuestVolume[] = [];
    const quota = 16 * MIB;
    const fill = (): string => {
      const volume = new GuestVolume([], quota);
      volumes.push(volume);
      const file = volume.open(volume.root, 'tmp/f', { ...NOTHING, create: true, write: true });
      if (typeof file === 'string' || !('setSize' in file)) return 'no file';
      return file.setSize(quota) ?? 'ok';
    };
    try {
      // One fewer than would fit: names take something, too.
      for (let i = 1; i < TMP_BYTES_OF_A_THREAD_CAP / quota; i += 1) expect(fill()).toBe('ok');
      expect(fill()).toBe('insufficient-space');
      volumes[0]?.close();
      expect(fill()).toBe('ok');
    } finally {
      for (const volume of volumes) volume.close();
    }
    expect(fill()).toBe('ok');
    volumes.at(-1)?.close();
  });

  it('counts open descriptors', () => {
    const { root } = guestWith(filesOf({ a: '' }));
    for (let i = 1; i < HANDLE_CAPS.descriptor; i += 1) open(root, 'a');
    expect(() => open(root, 'a')).toThrow(/1024 descriptor handles/);
  });
});
