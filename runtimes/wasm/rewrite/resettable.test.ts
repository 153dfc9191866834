import { describe, expect, it } from 'vitest';
import { makeResettable } from './index.ts';
import { wat } from './testing/wat.ts';

async function blocker(text: string, steps = {}): Promise<string | null> {
  const result = makeResettable(await wat(text), steps);
  return 'blocker' in result ? result.blocker : null;
}

describe('what cannot be reset', () => {
  it.each([
    [
      'table.grow',
      '(module (table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1)))))',
      'it grows tables',
    ],
    [
      'table.set on an imported table',
      '(module (import "a" "b" (table 1 funcref)) (func (table.set (i32.const 0) (ref.null func))))',
      "it writes another module's tables",
    ],
    [
      'table.set on a large table',
      '(module (table 1001 funcref) (func (table.set (i32.const 0) (ref.null func))))',
      'it writes tables of 1001 elements; at most 1000 are brought back',
    ],
    [
      'table.init beside elem.drop',
      '(module (table 1 funcref) (elem $e func) (func (table.init $e (i32.const 0) (i32.const 0) (i32.const 0)) (elem.drop $e)))',
      'it drops element segments',
    ],
    ['data.drop', '(module (memory 1) (data $d "x") (func (data.drop $d)))', 'it drops data segments'],
    [
      'memory.init beside active data',
      '(module (memory 1) (data (i32.const 0) "x") (data $d "x") (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))))',
      'it copies data segments itself',
    ],
    ['a start function', '(module (func $s) (start $s))', 'it has a start function'],
    [
      'data beyond the memory, though it is nothing',
      '(module (memory 0) (data (i32.const 1)))',
      'its data does not fit its memory',
    ],
    ['two memories', '(module (memory 1) (memory 1))', 'it has more than one memory'],
    [
      'an own and an imported memory',
      '(module (import "a" "b" (memory 1)) (memory 1))',
      'it has more than one memory',
    ],
    ['shared memory', '(module (memory 1 2 shared))', 'its memory is shared between threads'],
    ['memory64', '(module (memory i64 1))', 'its memory has 64-bit addresses'],
    [
      'atomics',
      '(module (memory 1) (func (i32.atomic.store (i32.const 0) (i32.const 0))))',
      'an atomic write at byte 33',
    ],
    [
      "stores to another's memory",
      '(module (import "a" "b" (memory 1)) (func (i32.store (i32.const 0) (i32.const 0))))',
      "it writes or measures another module's memory",
    ],
    [
      "data in another's memory",
      '(module (import "a" "b" (memory 1)) (data (i32.const 0) "x"))',
      "it writes or measures another module's memory",
    ],
    [
      "growing another's memory",
      '(module (import "a" "b" (memory 1)) (func (drop (memory.grow (i32.const 0)))))',
      "it writes or measures another module's memory",
    ],
    [
      "measuring another's memory",
      '(module (import "a" "b" (memory 1)) (func (drop (memory.size))))',
      "it writes or measures another module's memory",
    ],
    [
      'data at a place that is imported',
      '(module (import "a" "b" (global $g i32)) (memory 1) (data (global.get $g) "x"))',
      'its data goes to places that are not constant',
    ],
    [
      'GC types',
      '(module (type $t (struct (field i32))) (func (drop (struct.new $t (i32.const 1)))))',
      'a type that is not a plain function',
    ],
  ])('%s', async (_, text, reason) => {
    expect.hasAssertions();
    const seen = await blocker(text).catch((error: unknown) => (error as Error).message);
    expect(seen).toContain(reason.replace(/ at byte .*/, ''));
  });

  it('a memory that grows, without a virtual size', async () => {
    const text = '(module (memory 1) (func (drop (memory.grow (i32.const 1)))))';
    expect(await blocker(text)).toBeNull();
    expect(await blocker(text, { virtualMemory: false })).toBe('its memory grows');
  });
});

describe('what has no state', () => {
  it('stays as it is', async () => {
    const source = await wat(
      '(module (table (export "t") 3 funcref) (global i32 (i32.const 1)) (func (export "f")))',
    );
    expect(makeResettable(source)).toEqual({ wasm: source, resets: false, window: null, memory: null });
  });

  it('has a reset for its globals alone', async () => {
    const result = makeResettable(await wat('(module (global (export "g") (mut i32) (i32.const 3)))'));
    if ('blocker' in result) throw new Error(result.blocker);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(result.wasm as BufferSource));
    const global = exports['g'] as WebAssembly.Global<'i32'>;
    global.value = 9;
    (exports['fissium_reset'] as (outside: number) => void)(0);
    expect(global.value).toBe(3);
  });
});
