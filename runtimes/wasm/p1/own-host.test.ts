import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { FissiumError } from '../../../src/errors.ts';
import { wat } from '../rewrite/testing/wat.ts';
import { packFiles } from '../wasi/filesystem/file-set.ts';
import { GuestMemory } from './guest-memory.ts';
import { StringTable } from './string-table.ts';
import { bodyOf, cgiGuest } from './testing/run-cgi.ts';

vi.setConfig({ testTimeout: 60_000 });

/** Parameters of each function of preview 1: `i` for i32, `I` for i64. All but `proc_exit` give an i32. */
const SIGNATURES = {
  args_get: 'ii', args_sizes_get: 'ii', environ_get: 'ii', environ_sizes_get: 'ii', clock_res_get: 'ii',
  clock_time_get: 'iIi', fd_advise: 'iIIi', fd_allocate: 'iII', fd_close: 'i', fd_datasync: 'i', fd_fdstat_get: 'ii',
  fd_fdstat_set_flags: 'ii', fd_fdstat_set_rights: 'iII', fd_filestat_get: 'ii', fd_filestat_set_size: 'iI',
  fd_filestat_set_times: 'iIIi', fd_pread: 'iiiIi', fd_prestat_get: 'ii', fd_prestat_dir_name: 'iii',
  fd_pwrite: 'iiiIi', fd_read: 'iiii', fd_readdir: 'iiiIi', fd_renumber: 'ii', fd_seek: 'iIii', fd_sync: 'i',
  fd_tell: 'ii', path_create_directory: 'iii', path_filestat_get: 'iiiii', path_filestat_set_times: 'iiiiIIi',
  path_link: 'iiiiiii', path_open: 'iiiiiIIii', path_readlink: 'iiiiii', path_remove_directory: 'iii',
  path_rename: 'iiiiii', path_symlink: 'iiiii', path_unlink_file: 'iii', poll_oneoff: 'iiii', proc_raise: 'i',
  sched_yield: '', random_get: 'ii', sock_accept: 'iii', sock_recv: 'iiiiii', sock_send: 'iiiii', sock_shutdown: 'ii',
} as const; // prettier-ignore

interface Call {
  readonly name: keyof typeof SIGNATURES;
  readonly args: readonly (number | bigint)[];
}

/** Makes the calls one after the other, and answers with the last one's error number as two digits. */
function caller(calls: readonly Call[]): Promise<Uint8Array> {
  const types = { i: 'i32', I: 'i64' } as const;
  const names = [...new Set(calls.map(({ name }) => name))];
  const imports = names.map((name) => {
    const params = Array.from(SIGNATURES[name], (type) => types[type as 'i' | 'I']).join(' ');
    return `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${params}) (result i32)))`;
  });
  const lines = calls.map(({ name, args }) => {
    const given = args.map((value) =>
      typeof value === 'bigint' ? `(i64.const ${value})` : `(i32.const ${value})`,
    );
    return `(local.set $errno (call $${name} ${given.join(' ')}))`;
  });
  return wat(`(module ${imports.join('\n')}
    (import "wasi_snapshot_preview1" "fd_write" (func $answer (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (data (i32.const 65536) "A: b\\0a\\0a")
    (data (i32.const 256) "tmp/x\\00\\00\\00\\00\\01\\00\\00\\10\\00\\00\\00")
    (func (export "_start") (local $errno i32)
      ${lines.join('\n      ')}
      (i32.store (i32.const 65542) (i32.add (i32.const 0x3030) (i32.add
        (i32.div_u (local.get $errno) (i32.const 10))
        (i32.shl (i32.rem_u (local.get $errno) (i32.const 10)) (i32.const 8)))))
      (i32.store (i32.const 65600) (i32.const 65536))
      (i32.store (i32.const 65604) (i32.const 8))
      (drop (call $answer (i32.const 1) (i32.const 65600) (i32.const 1) (i32.const 65608)))))`);
}

const anyPointer = fc.oneof(
  fc.constantFrom(0, 256, 260, 264, 1024, 65_535, 131_071, 131_072, -1, -8, 0x7fff_ffff),
  fc.integer(),
);
const anyNumber = fc.oneof(fc.integer({ min: 0, max: 8 }), anyPointer);
const anyLong = fc.oneof(
  fc.bigInt({ min: -1n, max: 64n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);
const anyCall = fc.constantFrom(...(Object.keys(SIGNATURES) as (keyof typeof SIGNATURES)[])).chain((name) =>
  fc.record({
    name: fc.constant(name),
    args: fc.tuple(
      ...Array.from(SIGNATURES[name], (type): fc.Arbitrary<number | bigint> =>
        type === 'I' ? anyLong : anyNumber,
      ),
    ),
  }),
);

describe('the functions of preview 1', () => {
  it('link, all of them', async () => {
    const calls = Object.entries(SIGNATURES).map(([name, params]): Call => ({
      name: name as keyof typeof SIGNATURES,
      args: Array.from(params, (type) => (type === 'I' ? 0n : 0)),
    }));
    const guest = await cgiGuest(await caller([...calls, { name: 'sock_accept', args: [0, 0, 0] }]));
    expect((await guest.run()).body).toBe('76');
  });

  it('answer an error number, or end the guest, whatever they are given', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyCall, { minLength: 1, maxLength: 4 }), async (calls) => {
        // A sleep of any length is waited for; that it ends with its caller is tested elsewhere.
        fc.pre(calls.every(({ name }) => name !== 'poll_oneoff'));
        const guest = await cgiGuest(await caller(calls));
        const outcome = await guest
          .run({ body: bodyOf(['12345678']) })
          .then(({ body }) => body)
          .catch((error: unknown) => (error instanceof FissiumError ? error.code : error));
        expect(outcome).toMatch(/^(\d\d|GUEST_.*)$/);
        expect(guest.control.running().life).toBe(0);
      }),
      { numRuns: 80 },
    );
  });

  it.each([
    ['fault', 21, { name: 'fd_read', args: [0, 131_068, 1, 0] }],
    ['fault', 21, { name: 'clock_time_get', args: [0, 0n, 131_065] }],
    ['inval', 28, { name: 'clock_time_get', args: [9, 0n, 0] }],
    ['inval', 28, { name: 'poll_oneoff', args: [0, 0, 0, 0] }],
    ['badf', 8, { name: 'fd_read', args: [77, 0, 0, 0] }],
    ['badf', 8, { name: 'fd_prestat_get', args: [4, 0] }],
    ['spipe', 70, { name: 'fd_seek', args: [1, 0n, 0, 0] }],
    ['noent', 44, { name: 'path_open', args: [3, 0, 256, 5, 0, 2n, 0n, 0, 0] }],
    ['nametoolong', 37, { name: 'path_open', args: [3, 0, 256, 4097, 0, 2n, 0n, 0, 0] }],
    ['nametoolong', 37, { name: 'path_rename', args: [3, 256, 5, 3, 256, -1] }],
    ['inval', 28, { name: 'poll_oneoff', args: [0, 0, 1025, 0] }],
    ['inval', 28, { name: 'fd_read', args: [0, 0, 1025, 0] }],
    ['success', 0, { name: 'path_open', args: [3, 0, 256, 5, 1, 66n, 0n, 0, 0] }],
    ['ilseq', 25, { name: 'path_unlink_file', args: [3, 65_529, 1024] }],
  ] as const)('%s is %d', async (name, errno, call) => {
    const calls: Call[] = [call];
    const broken = name === 'ilseq' ? '\\ff' : '';
    const module = await caller(calls);
    const text = broken === '' ? module : await withByte(module);
    expect((await (await cgiGuest(text)).run()).body).toBe(String(errno).padStart(2, '0'));
  });

  it.each(['wasi_snapshot_preview1', 'wasi_unstable'])(
    'give no more random bytes than other guests get: %s',
    async (dialect) => {
      const module = await wat(`(module
      (import "${dialect}" "random_get" (func $random (param i32 i32) (result i32)))
      (memory (export "memory") 32)
      (func (export "_start") (drop (call $random (i32.const 0) (i32.const 1048577)))))`);
      await expect((await cgiGuest(module)).run()).rejects.toMatchObject({
        code: 'GUEST_TRAPPED',
        message: expect.stringContaining('1048577 random bytes') as string,
      });
    },
  );

  it('end the guest that goes on after its end, whatever it catches', async () => {
    const module = await wat(`(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (loop $again
          (block $caught (try_table (catch_all $caught) (call $exit (i32.const 3))))
          (br $again))))`);
    const guest = await cgiGuest(module);
    for (let i = 0; i < 3; i++) {
      await expect(guest.run()).rejects.toMatchObject({
        code: 'GUEST_EXITED',
        message: expect.stringContaining('code 3') as string,
      });
    }
  });
});

/** Bytes that are no UTF-8 where the path of the case above begins. */
async function withByte(module: Uint8Array): Promise<Uint8Array> {
  const { print, parse } = await import('@bytecodealliance/jco-transpile/wasm-tools');
  return parse(
    (await print(module)).replace('(data (;0;)', '(data (i32.const 65529) "\\ff\\fe") (data (;0;)'),
  );
}

describe('files', () => {
  it('are read, written, listed and removed in a private /tmp', async () => {
    const guest = await cgiGuest('cgi.wasm');
    for (let i = 0; i < 2; i++) {
      const { body } = await guest.run({ pathWithQuery: '/files' });
      expect(body.trim().split('\n')).toEqual([
        'text=hello, FILE, and more position=21',
        'size=5 dir=false',
        'names=["b", "three.txt", "two.txt"]',
        expect.stringMatching(/^outside=Err\(/),
        'missing=Err(NotFound)',
        'full dir=Err(Uncategorized)',
        'quota=Err(Some(19))',
        'left=big',
      ]);
    }
  });

  it('are those of the function, read-only', async () => {
    const file = { path: 'templates/a.txt', content: Buffer.from('from the package'), modifiedMs: 0 };
    const files = packFiles([file]);
    const guest = await cgiGuest('cgi.wasm', { files: files ? [files] : [] });
    expect((await guest.run({ pathWithQuery: '/read?/templates/a.txt' })).body).toBe(
      'Ok("from the package")\n',
    );
    expect((await guest.run({ pathWithQuery: '/read?/templates/b.txt' })).body).toMatch(/^Err\(.*NotFound/);
  });
});

describe('a reset instance', () => {
  const receipt = () =>
    ({ instance: 'new', instantiateMs: 0, guestMs: 0, hostMs: 0, waitingMs: 0, peakMemoryBytes: 0 }) as const;

  it('serves requests as a new one would, in whatever order they come', async () => {
    const guest = await cgiGuest('cgi.wasm');
    expect(guest.manifest).toMatchObject({
      engine: 'p1',
      resetBlocker: null,
      reason:
        'a WASI preview 1 command, run as a CGI program by our own host, its instances reset in place between requests',
    });
    const paths = [
      '/hello',
      '/count',
      '/count?exit',
      '/status404',
      '/files',
      '/echo',
      '/big?70000',
      '/exit',
      '/trap',
      '/log',
      '/binary',
    ];
    const ask = async (of: typeof guest, pathWithQuery: string): Promise<unknown> => {
      const body = pathWithQuery === '/echo' ? bodyOf(['x'.repeat(50_000)]) : null;
      try {
        return await of.run({ pathWithQuery, body });
      } catch (error) {
        return error instanceof FissiumError ? error.code : error;
      }
    };
    const fresh = new Map<string, unknown>();
    for (const path of paths) fresh.set(path, await ask(await cgiGuest('cgi.wasm'), path));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...paths), { minLength: 1, maxLength: 12 }),
        async (asked) => {
          for (const path of asked) expect(await ask(guest, path)).toEqual(fresh.get(path));
        },
      ),
      { numRuns: 20 },
    );
  });

  it('holds nothing that a program hid past its virtual memory in the request before', async () => {
    // With `g` as its body it grows to where that is first, as it may.
    const guest = await cgiGuest(
      await wat(`(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 2)
        (data (i32.const 0) "A: b\\0a\\0aclean")
        (data (i32.const 64) "\\00\\00\\00\\00\\0b\\00\\00\\00\\50\\00\\00\\00\\01\\00\\00\\00")
        (func (export "_start")
          (drop (call $read (i32.const 0) (i32.const 72) (i32.const 1) (i32.const 88)))
          (if (i32.ne (memory.size) (i32.const 2)) (then (unreachable)))
          (if (i32.eq (i32.load8_u (i32.const 80)) (i32.const 103))
            (then (if (i32.ne (memory.grow (i32.const 6)) (i32.const 2)) (then (unreachable)))))
          (if (i32.load (i32.const 400000)) (then (unreachable)))
          (i32.store (i32.const 400000) (i32.const 42))
          (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 88)))))`),
    );
    expect(guest.manifest.resetBlocker).toBeNull();
    const found: unknown[] = [];
    for (const what of ['g', 'w', 'w', 'g', 'w', 'g', 'g']) {
      const taken = { ...receipt() };
      expect((await guest.run({ body: bodyOf([what]) }, { receipt: taken })).body).toBe('clean');
      found.push(taken.instance);
    }
    expect(found.slice(1)).toEqual(Array.from({ length: 6 }, () => 'ready'));
  });

  it('is there before the first request, and again after each that came to its end', async () => {
    const guest = await cgiGuest('cgi.wasm');
    const found: unknown[] = [];
    for (const pathWithQuery of ['/hello', '/exit', '/trap', '/hello', '/hello']) {
      const taken = { ...receipt() };
      await guest.run({ pathWithQuery }, { receipt: taken }).catch(() => undefined);
      found.push(taken.instance);
      expect(taken.peakMemoryBytes).toBeGreaterThan(1e6);
    }
    expect(found).toEqual(['ready', 'ready', 'ready', 'new', 'ready']);
  });

  it('is not there where the module stands against it, and each request begins anew all the same', async () => {
    const guest = await cgiGuest(
      await wat(`(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "A: b\\0a\\0a0")
        (data (i32.const 64) "\\00\\00\\00\\00\\07\\00\\00\\00")
        (data $once "x")
        (table 2 funcref)
        (func $count (i32.store8 (i32.const 6) (i32.add (i32.load8_u (i32.const 6)) (i32.const 1))))
        (elem declare func $count)
        (func (export "_start")
          (if (ref.is_null (table.get (i32.const 0))) (then (call $count)))
          (table.set (i32.const 0) (ref.func $count))
          (data.drop $once)
          (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 128)))))`),
    );
    expect(guest.manifest.reason).toContain(
      'a new instance for each request because it cannot be reset (it drops data segments)',
    );
    for (let i = 0; i < 3; i++) {
      const taken = { ...receipt() };
      expect((await guest.run({}, { receipt: taken })).body).toBe('1');
      expect(taken.instance).toBe('new');
    }
  });
});

describe('guest memory', () => {
  it('tells of writes outside of the window, and of those alone', () => {
    fc.assert(
      fc.property(fc.nat(65_540), fc.nat(70), (at, length) => {
        const memory = new GuestMemory({ from: 1000, to: 60_000 });
        memory.attach(new WebAssembly.Memory({ initial: 1 }));
        let fault = false;
        try {
          memory.place(at, length);
        } catch {
          fault = true;
        }
        expect(fault).toBe(at + length > 65_536);
        expect(memory.wroteOutside).toBe(!fault && (at < 1000 || at + length > 60_000));
      }),
    );
  });

  it('holds strings as they are asked for', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''))),
        (strings) => {
          const memory = new GuestMemory();
          memory.attach(new WebAssembly.Memory({ initial: 1 }));
          const table = new StringTable(strings);
          table.writeSizes(memory, 0, 4);
          table.write(memory, 8, 4096);
          const seen = Array.from({ length: memory.getU32(0) }, (_, i) => {
            const start = memory.getU32(8 + i * 4);
            const all = memory.read(start, 65_536 - start);
            return Buffer.from(all.subarray(0, all.indexOf(0))).toString();
          });
          expect(seen).toEqual(strings.map((text) => text.toWellFormed()));
          expect(memory.getU32(4)).toBe(strings.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0));
        },
      ),
    );
  });
});
