import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeResettable, RESET_EXPORT, type ResetSteps } from './index.ts';
import { instantiate } from './testing/instantiate.ts';
import { wat } from './testing/wat.ts';

const PAGE = 65536;
const LARGEST_ADDRESS = 4 * PAGE;

/** Statements that write, grow and count; addresses reach past the memory, and so does what a run leaves. */
const statement: fc.Memo<string> = fc.memo((depth) => {
  const address = fc.oneof(
    { weight: 4, arbitrary: fc.nat(2 * PAGE - 20).map((at) => `(i32.const ${at})`) },
    { weight: 4, arbitrary: fc.integer({ min: 40_000, max: 70_000 }).map((at) => `(i32.const ${at})`) },
    { weight: 3, arbitrary: fc.nat(2).map((local) => `(i32.and (local.get ${local}) (i32.const 0x1ffef))`) },
    // Grown or not: where not, the run traps.
    { weight: 1, arbitrary: fc.nat(LARGEST_ADDRESS).map((at) => `(i32.const ${at})`) },
  );
  const offset = fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom('', 'offset=3') },
    { weight: 2, arbitrary: fc.constant('offset=20000') },
    { weight: 1, arbitrary: fc.constant('offset=4294967290') },
  );
  const value = fc.oneof(
    fc.integer().map((number) => `(i32.const ${number})`),
    fc.nat(2).map((local) => `(local.get ${local})`),
    fc.nat(1).map((index) => `(global.get $g${index})`),
    address.map((at) => `(i32.load ${at})`),
    fc.constant('(memory.size)'),
  );
  const store = (instruction: string, wrap: (text: string) => string): fc.Arbitrary<string> =>
    fc.tuple(address, offset, value).map(([at, more, a]) => `(${instruction} ${more} ${at} ${wrap(a)})`);
  const leaf = fc.oneof(
    fc.tuple(fc.nat(2), value, value).map(([local, a, b]) => `(local.set ${local} (i32.add ${a} ${b}))`),
    fc.tuple(fc.nat(1), value).map(([index, a]) => `(global.set $g${index} ${a})`),
    value.map((a) => `(global.set $wide (i64.extend_i32_s ${a}))`),
    value.map((a) => `(global.set $real (f64.convert_i32_s ${a}))`),
    store('i32.store', (a) => a),
    store('i32.store8', (a) => a),
    store('i32.store16', (a) => a),
    store('i64.store', (a) => `(i64.extend_i32_u ${a})`),
    store('i64.store8', (a) => `(i64.extend_i32_u ${a})`),
    store('i64.store16', (a) => `(i64.extend_i32_u ${a})`),
    store('i64.store32', (a) => `(i64.extend_i32_u ${a})`),
    store('f32.store', (a) => `(f32.convert_i32_s ${a})`),
    store('f64.store', (a) => `(f64.convert_i32_s ${a})`),
    store('v128.store', (a) => `(i32x4.splat ${a})`),
    fc.tuple(address, value).map(([at, a]) => `(v128.store16_lane offset=5 3 ${at} (i32x4.splat ${a}))`),
    fc
      .tuple(address, value, fc.oneof(fc.nat(300), fc.nat(3000), fc.nat(70_000)))
      .map(([at, a, count]) => `(memory.fill ${at} ${a} (i32.const ${count}))`),
    fc
      .tuple(address, address, fc.nat(3000))
      .map(([to, from, count]) => `(memory.copy ${to} ${from} (i32.const ${count}))`),
    fc.nat(2).map((pages) => `(local.set 0 (memory.grow (i32.const ${pages})))`),
    value.map((a) => `(local.set 1 (call_indirect (param i32) (result i32) ${a} (i32.const 0)))`),
  );
  if (depth <= 1) return leaf;
  const body = statement(depth - 1);
  return fc.oneof(
    { weight: 4, arbitrary: leaf },
    {
      weight: 1,
      arbitrary: fc.tuple(value, body, body).map(([a, yes, no]) => `(if ${a} (then ${yes}) (else ${no}))`),
    },
    { weight: 1, arbitrary: fc.tuple(body, body).map(([a, b]) => `(block ${a} ${b})`) },
  );
});

function program(first: readonly string[], second: readonly string[]): string {
  return `(module
    (memory (export "memory") 2 5)
    (table 1 funcref) (elem (i32.const 0) $leaf)
    (global $stack (export "g") (mut i32) (i32.const 65536))
    (global $g0 (export "g0") (mut i32) (i32.const 7))
    (global $g1 (export "g1") (mut i32) (i32.const -1))
    (global $wide (export "wide") (mut i64) (i64.const -5))
    (global $real (export "real") (mut f64) (f64.const 1.5))
    (global $ref (mut funcref) (ref.func $leaf))
    (data (i32.const 65536) "${'the data segment '.repeat(200)}")
    (data (i32.const 66000) "over it")
    (data (i32.const 131000) "at the end")
    (func $leaf (param i32) (result i32)
      (global.set $ref (ref.null func)) (i32.store (i32.const 70000) (local.get 0))
      (i32.add (local.get 0) (i32.load8_u (i32.const 65540))))
    (func (export "size") (result i32) (memory.size))
    (func (export "dirty") (param i32 i32 i32) (result i32) ${first.join(' ')} (local.get 0))
    (func (export "run") (param i32 i32 i32) (result i32) ${second.join(' ')}
      (i32.add (i32.add (local.get 0) (local.get 1)) (i32.add (i32.load (i32.const 65540)) (ref.is_null (global.get $ref))))))`;
}

type Call = (...args: number[]) => number;

function state(exports: WebAssembly.Exports): unknown {
  const size = (exports['size'] as Call)();
  const bytes = new Uint8Array((exports['memory'] as WebAssembly.Memory).buffer);
  const globals = ['g', 'g0', 'g1', 'wide', 'real'].map((name) =>
    String((exports[name] as WebAssembly.Global).value),
  );
  return { size, globals, memory: Buffer.from(bytes.subarray(0, size * PAGE)).toString('latin1') };
}

/** What lies behind the virtual size, which a guest can come to see. */
function behind(exports: WebAssembly.Exports): boolean {
  const size = (exports['size'] as Call)();
  const bytes = new Uint8Array((exports['memory'] as WebAssembly.Memory).buffer);
  return bytes.subarray(size * PAGE).every((byte) => byte === 0);
}

/** The call's result; undefined where it trapped. */
function attempt(exports: WebAssembly.Exports, name: string): number | undefined {
  try {
    return (exports[name] as Call)(1, 50_000, 99_999);
  } catch {
    return undefined;
  }
}

const STEPS: readonly (readonly [string, ResetSteps, pages: number])[] = [
  ['all steps', {}, 0],
  ['no write check', { writeCheck: false }, 0],
  ['a memory of its own', { memoryImport: false }, 0],
  ['a larger memory than it asks for', {}, 4],
];

describe.each(STEPS)('a reset instance with %s', (_, steps, pages) => {
  it('is what a new one of the unchanged module would be', async () => {
    let compared = 0;
    const statements = fc.array(statement(3), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(statements, statements, async (first, second) => {
        const source = await wat(program(first, second));
        const result = makeResettable(source, steps);
        if ('blocker' in result) throw new Error(result.blocker);
        const used = instantiate(result.wasm, pages);
        const fresh = (): WebAssembly.Exports =>
          new WebAssembly.Instance(new WebAssembly.Module(source)).exports;
        expect(state(used)).toEqual(state(fresh()));
        for (const name of ['dirty', 'run', 'dirty']) {
          // An instance that traps is dropped.
          if (attempt(used, name) === undefined) return;
          (used[RESET_EXPORT] as Call)(0);
          expect(state(used)).toEqual(state(fresh()));
          expect(behind(used)).toBe(true);
        }
        const other = fresh();
        const expected = attempt(other, 'run');
        // Between the virtual and the real size the used one does not trap: see `virtual-memory.ts`.
        if (expected === undefined) return;
        expect(attempt(used, 'run')).toBe(expected);
        expect(state(used)).toEqual(state(other));
        compared++;
      }),
      { numRuns: 300 },
    );
    expect(compared).toBeGreaterThan(25);
  }, 120_000);
});

describe('the reset function', () => {
  const source = `(module (memory (export "memory") 2) (global $stack (mut i32) (i32.const 65536))
    (data (i32.const 65536) "x") (func (export "store") (param i32) (i32.store (local.get 0) (i32.const -1))))`;

  it('leaves alone what nobody wrote, and cleans all when the host says so', async () => {
    const result = makeResettable(await wat(source));
    if ('blocker' in result) throw new Error(result.blocker);
    expect(result.window).toEqual({ from: 49_152, to: 3 * PAGE });
    const exports = instantiate(result.wasm);
    const bytes = new Uint8Array((exports['memory'] as WebAssembly.Memory).buffer);
    const reset = exports[RESET_EXPORT] as Call;
    // Written from outside, without the check: a reset that does not look there leaves it.
    bytes[100] = 5;
    bytes[60_000] = 6;
    reset(0);
    expect([bytes[100], bytes[60_000], bytes[65_536]]).toEqual([5, 0, 120]);
    reset(1);
    expect([bytes[100], bytes[65_536]]).toEqual([0, 120]);
    bytes[100] = 5;
    (exports['store'] as Call)(49_149);
    reset(0);
    expect([bytes[100], bytes[49_149], bytes[49_152]]).toEqual([0, 0, 0]);
  });
});
