import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wat } from '../testing/wat.ts';
import { makeCapture } from './capture.ts';
import { takeSnapshot, type SnapshotOptions, type SnapshotOutcome } from './index.ts';
import { runCapture } from './run-capture.ts';
import { writeSnapshot } from './write.ts';

type Call = (...args: number[]) => number;

async function snapshot(text: string, options: Partial<SnapshotOptions> = {}): Promise<SnapshotOutcome> {
  return takeSnapshot(await wat(text), { initialisers: ['_initialize'], ...options });
}

async function taken(text: string, options: Partial<SnapshotOptions> = {}): Promise<WebAssembly.Exports> {
  const outcome = await snapshot(text, options);
  if (outcome.kind !== 'taken') throw new Error(JSON.stringify(outcome));
  return new WebAssembly.Instance(new WebAssembly.Module(outcome.wasm as BufferSource)).exports;
}

async function reason(text: string, options: Partial<SnapshotOptions> = {}): Promise<string> {
  const outcome = await snapshot(text, options);
  if (outcome.kind !== 'declined') throw new Error(outcome.kind);
  return outcome.reason;
}

const start = (body: string, fields = ''): string =>
  `(module ${fields} (func $start ${body}) (start $start) (func (export "run")))`;
const TABLE = '(table $t 2 funcref) (func $f) (elem declare func $f)';

describe('a snapshot', () => {
  it('begins with the memory and the globals that the initialisers left, and runs them no more', async () => {
    const exports = await taken(
      `(module (memory (export "memory") 1) (global $n (export "n") (mut i32) (i32.const 1))
        (global $wide (export "wide") (mut i64) (i64.const 0)) (global $small (export "small") (mut f32) (f32.const 0))
        (global $real (export "real") (mut f64) (f64.const 0)) (global (export "fixed") i32 (i32.const 5))
        (data (i32.const 8) "old") (start $start)
        (func $start (i32.store8 (i32.const 9) (i32.const 0x58)) (global.set $n (i32.const -70000))
          (global.set $wide (i64.const -9007199254740993)) (global.set $small (f32.const -0))
          (global.set $real (f64.const 0.1)) (drop (memory.grow (i32.const 2))))
        (func (export "_initialize") (i32.store (i32.const 196604) (i32.const 0x01020304))
          (global.set $n (i32.mul (global.get $n) (i32.const 2))))
        (func (export "size") (result i32) (memory.size)))`,
    );
    const bytes = new Uint8Array((exports['memory'] as WebAssembly.Memory).buffer);
    expect(Buffer.from(bytes.subarray(8, 11)).toString()).toBe('oXd');
    expect([...bytes.subarray(-4)]).toEqual([4, 3, 2, 1]);
    expect((exports['size'] as Call)()).toBe(3);
    const values = ['n', 'wide', 'small', 'real', 'fixed'].map(
      (name) => (exports[name] as WebAssembly.Global).value as unknown,
    );
    expect(values).toEqual([-140_000, -9_007_199_254_740_993n, -0, 0.1, 5]);
    expect(exports['_initialize']).toBeUndefined();
  });

  it('keeps the numbers of segments, and those that were copied stay dropped', async () => {
    const exports = await taken(
      `(module (memory (export "memory") 1) (data $gone (i32.const 0) "gone") (data $kept "kept") (start $start)
        (func $start (memory.init $kept (i32.const 100) (i32.const 0) (i32.const 4)))
        (func (export "kept") (memory.init $kept (i32.const 200) (i32.const 0) (i32.const 4)))
        (func (export "gone") (memory.init $gone (i32.const 200) (i32.const 0) (i32.const 1)))
        (func (export "nothing") (memory.init $gone (i32.const 200) (i32.const 0) (i32.const 0))))`,
    );
    const bytes = Buffer.from((exports['memory'] as WebAssembly.Memory).buffer);
    (exports['kept'] as Call)();
    expect([0, 100, 200].map((at) => bytes.toString('latin1', at, at + 4))).toEqual(['gone', 'kept', 'kept']);
    expect(exports['gone']).toThrow(WebAssembly.RuntimeError);
    expect(exports['nothing']).not.toThrow();
  });

  it('may call what harms nobody', async () => {
    const text = `(module (import "host" "yield" (func $yield (result i32))) (memory (export "memory") 1)
      (start $start) (func $start (i32.store (i32.const 0) (i32.add (call $yield) (i32.const 7)))))`;
    const outcome = await snapshot(text, { harmless: new Map([['host yield', 0]]) });
    expect(outcome).toMatchObject({ kind: 'taken', bytes: 1 });
  });

  it('may be taken where only code that did not run writes tables', async () => {
    const outcome = await snapshot(
      start('', `${TABLE} (func (export "set") (table.set $t (i32.const 1) (ref.func $f)))`),
    );
    expect(outcome.kind).toBe('taken');
  });

  it('finds tables as limited as they are in requests', async () => {
    const grow = '(global.set $size (table.grow $t (ref.null extern) (i32.const 9000000)))';
    const exports = await taken(
      start(grow, '(table $t 1 externref) (global $size (export "size") (mut i32) (i32.const 0))'),
    );
    expect((exports['size'] as WebAssembly.Global).value).toBe(-1);
  });

  it('is none where nothing runs before the first request', async () => {
    expect(await snapshot('(module (memory 1) (func (export "run")))')).toEqual({ kind: 'nothing' });
    expect(await snapshot('(module (global (export "_initialize") i32 (i32.const 0)))')).toEqual({
      kind: 'nothing',
    });
  });
});

describe('no snapshot', () => {
  it.each([
    ['random numbers', 'wasi_snapshot_preview1', 'random_get', 'i32 i32'],
    ['a clock', 'wasi_snapshot_preview1', 'clock_time_get', 'i32 i64 i32'],
    ['the environment', 'wasi_snapshot_preview1', 'environ_get', 'i32 i32'],
    ['a file', 'wasi_snapshot_preview1', 'path_open', 'i32 i32 i32 i32'],
    ['a random seed', 'wasi:random/insecure-seed@0.2.0', 'insecure-seed', 'i32'],
  ])('holds %s', async (_, module, name, params) => {
    const zeros = params.split(' ').map((type) => `(${type}.const 0)`);
    const text = start(
      `(call $host ${zeros.join(' ')})`,
      `(import "${module}" "${name}" (func $host (param ${params})))`,
    );
    expect(await reason(text)).toBe(`it calls ${module} ${name} before its first request`);
  });

  it('holds what an initialiser makes of a refusal that it catches', async () => {
    const text = start(
      '(block $caught (try_table (catch_all $caught) (call $host)))',
      '(import "host" "clock" (func $host)) (memory 1)',
    );
    expect(await reason(text, { describe: (module, name) => `${name} of ${module}` })).toBe(
      'it calls clock of host before its first request',
    );
  });

  it.each([
    ['that traps', start('unreachable'), /it fails: unreachable/],
    ['that never ends', start('(loop $again (br $again))'), /takes longer than 300 ms/],
    ['that overflows the stack', start('(call $start)'), /it fails: Maximum call stack/],
    [
      'that fills much memory',
      start('(memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))', '(memory 1)'),
      /leaves more than 0.03125 MiB/,
    ],
    [
      'that takes much memory',
      start('(drop (memory.grow (i32.const 600)))', '(memory 1)'),
      /it fails: unreachable/,
    ],
    [
      'whose memory cannot grow',
      start('(drop (memory.grow (i32.const 1)))', '(memory 1 1)'),
      /it fails: unreachable/,
    ],
    [
      'that grows by a negative number',
      start('(drop (memory.grow (i32.const -1)))', '(memory 1)'),
      /it fails: unreachable/,
    ],
    ['that sets a table', start('(table.set $t (i32.const 1) (ref.func $f))', TABLE), /changes tables/],
    [
      'that grows a table',
      start('(drop (table.grow $t (ref.null func) (i32.const 1)))', TABLE),
      /changes tables/,
    ],
    [
      'that makes a reference',
      start('(global.set $g (ref.func $f))', `(global $g (mut funcref) (ref.null func)) ${TABLE}`),
      /makes references/,
    ],
    ['that drops data', start('(data.drop $d)', '(memory 1) (data $d "x")'), /drops segments/],
    ['that drops elements', start('(elem.drop $e)', '(table 1 funcref) (elem $e funcref)'), /drops segments/],
    [
      'that leaves NaN',
      start('(global.set $g (f32.const nan:0x200001))', '(global $g (mut f32) (f32.const 0))'),
      /not a number/,
    ],
    [
      'of a module with another’s memory',
      start('', '(import "m" "memory" (memory 1))'),
      /imports m memory, which is no function/,
    ],
    ['of a module with two memories', start('', '(memory 1) (memory 1)'), /more than one memory/],
    ['of a module with a shared memory', start('', '(memory 1 1 shared)'), /shared between threads/],
    ['of a module with a 64-bit memory', start('', '(memory i64 1)'), /64-bit/],
    ['of a module with a large memory', start('', '(memory 5000)'), /too large to search/],
    [
      'of a module with a vector in a global',
      start('', '(global $v (mut v128) (v128.const i64x2 1 1))'),
      /it fails/,
    ],
    ['of garbage-collected data', start('', '(type $s (struct))'), /not a plain function|no plain function/],
  ])('is taken of an initialiser %s', async (_, text, message) => {
    expect(
      await reason(text, { timeoutMs: 300 + (/(leaves|loop)/.test(text) ? 0 : 20_000), maxBytes: 32_768 }),
    ).toMatch(message);
  });
});

/** Statements of an initialiser. */
const statement: fc.Memo<string> = fc.memo((depth) => {
  const address = fc.oneof(fc.nat(300), fc.nat(131_000)).map((at) => `(i32.const ${at})`);
  const value = fc.oneof(
    fc.integer().map((number) => `(i32.const ${number})`),
    fc.nat(1).map((index) => `(global.get $g${index})`),
    address.map((at) => `(i32.load ${at})`),
    fc.constant('(memory.size)'),
  );
  const leaf = fc.oneof(
    fc.tuple(address, value).map(([at, a]) => `(i32.store ${at} ${a})`),
    fc.tuple(address, fc.nat(255)).map(([at, a]) => `(i32.store8 ${at} (i32.const ${a}))`),
    fc.tuple(fc.nat(1), value, value).map(([index, a, b]) => `(global.set $g${index} (i32.sub ${a} ${b}))`),
    value.map((a) => `(global.set $wide (i64.mul (i64.extend_i32_s ${a}) (i64.const -4294967295)))`),
    value.map((a) => `(global.set $real (f64.div (f64.convert_i32_s ${a}) (f64.const 3)))`),
    value.map((a) => `(global.set $small (f32.convert_i32_s ${a}))`),
    fc.tuple(address, value, fc.nat(3000)).map(([at, a, n]) => `(memory.fill ${at} ${a} (i32.const ${n}))`),
    fc
      .tuple(address, address, fc.nat(3000))
      .map(([to, from, n]) => `(memory.copy ${to} ${from} (i32.const ${n}))`),
    address.map((at) => `(memory.init $p ${at} (i32.const 1) (i32.const 6))`),
    fc.nat(2).map((pages) => `(drop (memory.grow (i32.const ${pages})))`),
  );
  if (depth <= 1) return leaf;
  const body = statement(depth - 1);
  return fc.oneof(
    { weight: 4, arbitrary: leaf },
    {
      weight: 1,
      arbitrary: fc.tuple(value, body, body).map(([a, yes, no]) => `(if ${a} (then ${yes}) (else ${no}))`),
    },
  );
});

function program(lines: readonly string[], runs: readonly string[], maximum: string): string {
  return `(module (memory (export "memory") 2 ${maximum})
    (global $g0 (export "g0") (mut i32) (i32.const 7)) (global $g1 (export "g1") (mut i32) (i32.const -1))
    (global $wide (export "wide") (mut i64) (i64.const -5)) (global $real (export "real") (mut f64) (f64.const 1.5))
    (global $small (export "small") (mut f32) (f32.const 1.5))
    (table (export "table") 3 funcref) (elem (i32.const 1) $start)
    (data (i32.const 200) "first") (data $p "a passive one") (data (i32.const 202) "over it")
    (func $start ${lines.join(' ')}) (start $start)
    (func (export "run") ${runs.join(' ')}))`;
}

function state(exports: WebAssembly.Exports): unknown {
  const table = exports['table'] as WebAssembly.Table;
  return {
    memory: Buffer.from((exports['memory'] as WebAssembly.Memory).buffer).toString('latin1'),
    globals: ['g0', 'g1', 'wide', 'real', 'small'].map((name) => {
      const value = (exports[name] as WebAssembly.Global).value as unknown;
      return Object.is(value, -0) ? '-0' : String(value);
    }),
    table: Array.from({ length: table.length }, (_, i) => (table.get(i) as { name: string } | null)?.name),
  };
}

describe('an instance of the snapshot', () => {
  it('is what an instance of the module is that has started', async () => {
    let compared = 0;
    const lines = fc.array(statement(3), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(lines, lines, fc.constantFrom('', '9', '3'), async (initialiser, later, maximum) => {
        const source = await wat(program(initialiser, later, maximum));
        const capture = makeCapture(source, []);
        if (!capture) throw new Error('nothing to capture');
        const captured = runCapture({ capture, harmless: new Map(), maxBytes: 1 << 20 });
        // A trap, or a memory that cannot grow.
        if (captured.kind !== 'captured') return;
        compared++;
        const wasm = writeSnapshot(source, captured, []) as Uint8Array<ArrayBuffer>;
        const [begun, started] = [wasm, source].map(
          (each) => new WebAssembly.Instance(new WebAssembly.Module(each)).exports,
        ) as [WebAssembly.Exports, WebAssembly.Exports];
        expect(state(begun)).toEqual(state(started));
        const ends = [begun, started].map((exports) => {
          try {
            (exports['run'] as Call)();
            return 'returned';
          } catch (error) {
            return (error as Error).message;
          }
        });
        expect(ends[0]).toBe(ends[1]);
        expect(state(begun)).toEqual(state(started));
      }),
      { numRuns: 150 },
    );
    expect(compared).toBeGreaterThan(40);
  }, 60_000);
});
