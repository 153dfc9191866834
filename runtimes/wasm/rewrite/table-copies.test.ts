import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeResettable, RESET_EXPORT } from './index.ts';
import { wat } from './testing/wat.ts';

type Call = (...args: number[]) => number;

/** Two functions tables, one with an initialiser, filled by segments of each form; code writes both. */
const TEXT = `(module
  (type $f (func (result i32)))
  (table $a 6 funcref)
  (table $b 4 8 funcref (ref.func $two))
  (table $untouched 2 funcref)
  (table $any 2 externref)
  (elem (i32.const 0) $one $two)
  (elem (table $a) (i32.const 1) funcref (ref.func $three) (ref.null func))
  (elem (table $b) (i32.const 2) func $one)
  (elem (table $untouched) (i32.const 0) func $one $two)
  (elem $passive func $three $one)
  (elem $active (table $b) (i32.const 3) funcref (ref.func $three))
  (func $one (type $f) (i32.const 1)) (func $two (type $f) (i32.const 2)) (func $three (type $f) (i32.const 3))
  (func (export "set") (param i32 i32) (table.set $a (local.get 0) (table.get $b (local.get 1))))
  (func (export "clear") (param i32 i32) (table.fill $b (local.get 0) (ref.null func) (local.get 1)))
  (func (export "init") (param i32 i32) (table.init $a $passive (local.get 0) (i32.const 0) (local.get 1)))
  (func (export "initDropped") (param i32 i32) (table.init $b $active (local.get 0) (i32.const 0) (local.get 1)))
  (func (export "copy") (param i32 i32) (table.copy $b $a (local.get 0) (local.get 1) (i32.const 2)))
  (func (export "any") (param i32 i32) (table.set $any (local.get 0) (ref.null extern)))
  (func (export "a") (param i32) (result i32) (call_indirect $a (type $f) (local.get 0)))
  (func (export "b") (param i32) (result i32) (call_indirect $b (type $f) (local.get 0)))
  (func (export "sizes") (result i32) (i32.add (table.size $a) (i32.mul (i32.const 100) (table.size $b)))))`;
const WRITES = ['set', 'clear', 'init', 'initDropped', 'copy', 'any'] as const;

/** The call's result, or what it trapped with. */
function attempt(exports: WebAssembly.Exports, name: string, ...args: number[]): unknown {
  try {
    return (exports[name] as Call)(...args);
  } catch (error) {
    return (error as Error).message;
  }
}

function elements(exports: WebAssembly.Exports): unknown {
  const of = (name: string): unknown[] => [0, 1, 2, 3, 4, 5, 6].map((i) => attempt(exports, name, i));
  return { a: of('a'), b: of('b'), sizes: attempt(exports, 'sizes') };
}

describe('tables that code writes', () => {
  it('have what they began with again after a reset', async () => {
    const wasm = await wat(TEXT);
    const made = makeResettable(wasm);
    if ('blocker' in made) throw new Error(made.blocker);
    expect([made.resets, WebAssembly.validate(made.wasm as BufferSource)]).toEqual([true, true]);
    const first = elements(new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(made.wasm as BufferSource));
    expect(elements(exports)).toEqual(first);
    const calls = fc.array(fc.tuple(fc.constantFrom(...WRITES), fc.nat(6), fc.nat(4)), { minLength: 1 });
    let changed = 0;
    fc.assert(
      fc.property(calls, (made) => {
        const fresh = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports;
        for (const [name, ...args] of made)
          expect(attempt(exports, name, ...args)).toEqual(attempt(fresh, name, ...args));
        const after = elements(exports);
        expect(after).toEqual(elements(fresh));
        if (JSON.stringify(after) !== JSON.stringify(first)) changed++;
        (exports[RESET_EXPORT] as Call)(0);
        expect(elements(exports)).toEqual(first);
      }),
    );
    expect(changed).toBeGreaterThan(50);
  });
});
