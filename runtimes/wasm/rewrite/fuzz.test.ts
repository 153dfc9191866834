import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addInterruptionCheck, limitMemory, readLayout, RewriteDeclined } from './index.ts';
import { ControlBlock } from '../control.ts';
import { yieldFunction } from '../yield.worker.ts';
import { ENDLESS } from './testing/endless.ts';
import { wat } from './testing/wat.ts';

/** The rewriter's answer, or null where it declined; anything else that is thrown fails the test. */
function rewrite(wasm: Uint8Array): Uint8Array<ArrayBuffer> | null {
  try {
    return addInterruptionCheck(wasm) as Uint8Array<ArrayBuffer>;
  } catch (error) {
    if (error instanceof RewriteDeclined) return null;
    throw error;
  }
}

/** Whether the call only declines, if it throws at all. */
function onlyDeclines(call: () => unknown): boolean {
  try {
    call();
    return true;
  } catch (error) {
    return error instanceof RewriteDeclined || error instanceof RangeError;
  }
}

describe('damaged modules', () => {
  it('are declined, or rewritten into what is as valid as they were', async () => {
    expect.hasAssertions();
    const cgi = readFileSync(join(import.meta.dirname, '../../../test/guests/built/cgi.wasm'));
    const seeds = [
      ...(await Promise.all(Object.values(ENDLESS).map(wat))),
      new Uint8Array(cgi.subarray(0, 20_000)),
    ];
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...seeds), damage, fc.option(fc.nat()), (seed, changes, cut) => {
        const wasm = seed.slice(0, cut === null ? seed.length : cut % seed.length);
        for (const [at, value] of changes) if (wasm.length > 8) wasm[8 + (at % (wasm.length - 8))] = value;
        const valid = WebAssembly.validate(wasm);
        const after = rewrite(wasm);
        expect(valid && after !== null ? WebAssembly.validate(after) : true).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('bytes of any kind make nothing else than a decline', () => {
    const preamble = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const wasm = new Uint8Array([...preamble, ...bytes]);
        rewrite(wasm);
        for (const read of [readLayout, (input: Uint8Array) => limitMemory(input, 10)]) {
          expect(onlyDeclines(() => read(wasm))).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

/** Statements of a small language with everything that the rewriter touches; loops count down, so all of them end. */
const statement: fc.Memo<string> = fc.memo((depth) => {
  const address = fc.nat(60_000).map((at) => `(i32.const ${at})`);
  const value = fc.oneof(
    fc.integer().map((number) => `(i32.const ${number})`),
    fc.nat(2).map((local) => `(local.get ${local})`),
    fc.nat(2).map((index) => `(global.get $g${index})`),
    fc.tuple(fc.nat(1), address).map(([memory, at]) => `(i32.load $m${memory} ${at})`),
    fc.nat(1).map((memory) => `(memory.size $m${memory})`),
  );
  const leaf = fc.oneof(
    fc.tuple(fc.nat(2), value, value).map(([local, a, b]) => `(local.set ${local} (i32.add ${a} ${b}))`),
    fc.tuple(fc.nat(2), value).map(([index, a]) => `(global.set $g${index} ${a})`),
    fc
      .tuple(fc.nat(1), address, value)
      .map(([memory, at, a]) => `(i32.store $m${memory} offset=3 ${at} ${a})`),
    fc
      .tuple(fc.nat(1), address, value)
      .map(([memory, at, a]) => `(i64.store32 $m${memory} ${at} (i64.extend_i32_u ${a}))`),
    fc
      .tuple(fc.nat(1), address, value)
      .map(([memory, at, a]) => `(memory.fill $m${memory} ${at} ${a} (i32.const 33))`),
    fc
      .tuple(fc.nat(1), fc.nat(1), address)
      .map(([to, from, at]) => `(memory.copy $m${to} $m${from} ${at} (i32.const 5) (i32.const 40))`),
    fc
      .tuple(fc.nat(1), address)
      .map(([memory, at]) => `(memory.init $m${memory} $p ${at} (i32.const 1) (i32.const 3))`),
    fc.nat(1).map((memory) => `(drop (memory.grow $m${memory} (i32.const 1)))`),
    fc
      .tuple(fc.nat(1), address, value)
      .map(([memory, at, a]) => `(v128.store $m${memory} ${at} (i32x4.splat ${a}))`),
    value.map((a) => `(local.set 0 (call $leaf ${a}))`),
    value.map((a) => `(local.set 1 (call_indirect (param i32) (result i32) ${a} (i32.const 0)))`),
    value.map((a) => `(local.set 1 (call $tree (i32.and ${a} (i32.const 7))))`),
    value.map(
      (a) => `(local.set 2 (i32.const 4)) (local.set 0 (loop $r (result i32)
      (local.set 2 (i32.sub (local.get 2) (i32.const 1))) (global.set $g1 (i32.add (global.get $g1) (i32.const 1)))
      (br_if $exit (i32.eqz (local.get 1))) (block $b (br_table $b $r $b (i32.gt_s (local.get 2) (i32.const 0)))) ${a}))`,
    ),
    value.map((a) => `(block $b (br_table $b $b ${a}))`),
    // Out of all loops around, by each kind of branch.
    fc.tuple(value, fc.nat(3)).map(([a, n]) => `(br_if $exit (i32.eq ${a} (i32.const ${n})))`),
    value.map((a) => `(block $b (br_table $b $exit $b (i32.and ${a} (i32.const 3))))`),
    value.map((a) =>
      `(local.set 2 (i32.const 3)) (loop $p (param i32) (result i32) (local.set 0)
      (br_if $exit (i32.eqz (local.get 1))) (i32.const 7)
      (br_if $p (local.tee 2 (i32.sub (local.get 2) (i32.const 1))))) (local.set 1)`.replace(
        '(loop',
        `${a} (loop`,
      ),
    ),
  );
  if (depth <= 1) return leaf;
  const body = fc.array(statement(depth - 1), { minLength: 1, maxLength: 3 }).map((lines) => lines.join(' '));
  return fc.oneof(
    leaf,
    fc.tuple(value, body, body).map(([a, yes, no]) => `(if ${a} (then ${yes}) (else ${no}))`),
    fc.tuple(fc.integer({ min: 1, max: 4 }), body).map(
      ([count, inner]) =>
        `(local.set $n${depth} (i32.const ${count})) (loop $l ${inner}
        (br_if $l (local.tee $n${depth} (i32.sub (local.get $n${depth}) (i32.const 1)))))`,
    ),
    body.map((inner) => `(block $out (try_table (catch $e $out) ${inner} (throw $e)))`),
  );
});

describe('random programs', () => {
  it('do the same before and after', async () => {
    const program = fc.array(statement(3), { minLength: 1, maxLength: 8 }).map(
      (lines) => `(module
      (memory $m0 (export "m0") 1 3) (memory $m1 (export "m1") 1 2)
      (global $g0 (export "g0") (mut i32) (i32.const 1)) (global $g1 (export "g1") (mut i32) (i32.const -2))
      (global $g2 (export "g2") (mut i32) (i32.const 3))
      (tag $e) (table 1 funcref) (elem (i32.const 0) $leaf)
      (data $p "abcdefgh") (data (memory $m1) (i32.const 4) "active") (data (i32.const 4) "first")
      (func $leaf (param i32) (result i32) (i32.xor (local.get 0) (global.get $g0)))
      (func $tree (param i32) (result i32) (if (result i32) (i32.le_s (local.get 0) (i32.const 0))
        (then (global.get $g2)) (else (i32.add (call $tree (i32.sub (local.get 0) (i32.const 1)))
          (call $tree (i32.sub (local.get 0) (i32.const 2)))))))
      (func (export "run") (param i32 i32 i32) (result i32) (local $n1 i32) (local $n2 i32) (local $n3 i32)
        (block $exit ${lines.join('\n')}) (i32.sub (local.get 0) (local.get 1))))`,
    );
    await fc.assert(
      fc.asyncProperty(program, async (text) => {
        const source = await wat(text);
        const after = rewrite(source);
        if (!after) throw new Error('declined');
        expect(observe(after)).toEqual(observe(source));
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});

describe('legacy exceptions within loops', () => {
  it('are caught, thrown again and delegated to the same place', async () => {
    const source = await wat(`(module (tag $e (param i32))
      (memory (export "m0") 1) (memory (export "m1") 1) (global (export "g0") (mut i32) (i32.const 0))
      (global (export "g1") (mut i32) (i32.const 0)) (global (export "g2") (mut i32) (i32.const 0))
      (func (export "run") (param i32 i32 i32) (result i32) (local $i i32)
        try (result i32)
          loop $outer (result i32)
            try
              loop $inner
                local.get $i i32.const 1 i32.add local.tee $i i32.const 5 i32.lt_u br_if $inner
                try
                  local.get $i throw $e
                catch $e
                  i32.const 10 i32.mul global.set 0
                  local.get $i i32.const 7 i32.lt_u br_if $outer
                  rethrow 0
                end
              end
            delegate 1
            i32.const 99
          end
        catch $e
          global.get 0 i32.add
        end))`);
    const after = rewrite(source);
    if (!after) throw new Error('declined');
    const expected = observe(source);
    expect(expected).toMatchObject({ result: 77 });
    expect(observe(after)).toEqual(expected);
  });
});

function observe(wasm: Uint8Array<ArrayBuffer>): unknown {
  // The first check on the way takes the slow way round, which must change nothing.
  const control = new ControlBlock();
  control.askToYield(9);
  const decide = (): 'go' => {
    control.forget();
    return 'go';
  };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
    fissium: { control: control.memory, yield: yieldFunction({ decide, wait: () => Promise.resolve('go') }) },
  });
  let result: unknown;
  try {
    result = (exports['run'] as (...args: number[]) => number)(1, 2, 3);
  } catch (error) {
    result = (error as Error).message;
  }
  const globals = ['g0', 'g1', 'g2'].map((name) => (exports[name] as WebAssembly.Global).value as number);
  const memories = ['m0', 'm1'].map((name) =>
    Buffer.from((exports[name] as WebAssembly.Memory).buffer).toString('base64'),
  );
  return { result, globals, memories };
}
