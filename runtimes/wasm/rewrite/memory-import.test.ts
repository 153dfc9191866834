import { describe, expect, it } from 'vitest';
import { importMemory, makeResettable, measuresForeignMemory, readLayout } from './index.ts';
import { instantiate } from './testing/instantiate.ts';
import { wat } from './testing/wat.ts';

const GROWING = `(module (memory (export "memory") 2 4) (data (i32.const 8) "data")
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))`;

type Call = (argument?: number) => number;

describe('the memory import', () => {
  it('takes the place of the memory, whose size stays what the module asked for', async () => {
    const result = importMemory(await wat(GROWING));
    if (!result) throw new Error('it kept its memory');
    expect(result.memory).toEqual({ initialPages: 2, maximumPages: 4 });
    expect(readLayout(result.wasm).memories).toEqual([]);
    for (const pages of [2, 3, 4, 9]) {
      const exports = instantiate(result.wasm, pages);
      const [size, grow, load] = ['size', 'grow', 'load'].map((name) => exports[name] as Call) as [
        Call,
        Call,
        Call,
      ];
      expect((exports['memory'] as WebAssembly.Memory).buffer.byteLength).toBe(pages * 65_536);
      expect([
        size(),
        load(8),
        grow(1),
        size(),
        grow(2),
        grow(1),
        size(),
        grow(1),
        load(4 * 65_536 - 1),
      ]).toEqual([2, 100, 2, 3, -1, 3, 4, -1, 0]);
    }
  });

  it('is a part of the reset that can be left out', async () => {
    const source = await wat(GROWING);
    const [with_, without] = [makeResettable(source), makeResettable(source, { memoryImport: false })];
    if ('blocker' in with_ || 'blocker' in without) throw new Error('not resettable');
    expect([with_.memory, without.memory]).toEqual([{ initialPages: 2, maximumPages: 4 }, null]);
    expect(readLayout(without.wasm).memories).toHaveLength(1);
  });

  it('fails to grow at the maximum with which the host makes it', async () => {
    const result = importMemory(await wat(GROWING.replace('2 4', '2')));
    if (!result) throw new Error('it kept its memory');
    const exports = instantiate(result.wasm);
    expect([
      (exports['grow'] as Call)(98),
      (exports['grow'] as Call)(1),
      (exports['size'] as Call)(),
    ]).toEqual([2, -1, 100]);
  });

  it.each([
    ['none', '(module (func))'],
    ['two', '(module (memory 1) (memory 1))'],
    ['an imported one', '(module (import "a" "b" (memory 1)))'],
    ['one of each', '(module (import "a" "b" (memory 1)) (memory 1))'],
    ['a shared one', '(module (memory 1 1 shared))'],
    ['a 64-bit one', '(module (memory i64 1))'],
    ['data past its end', '(module (memory 1) (data (i32.const 65535) "ab"))'],
    [
      'data wherever an import says',
      '(module (import "a" "b" (global $g i32)) (memory 1) (data (global.get $g) "a"))',
    ],
  ])('is not for modules with %s', async (_, text) => {
    expect(importMemory(await wat(text))).toBeNull();
  });

  it('is not for components where others measure the memory', async () => {
    const other = (text: string): Promise<Uint8Array> => wat(`(module (import "a" "m" (memory 1)) ${text})`);
    expect(measuresForeignMemory(await other('(func (drop (memory.size)))'))).toBe(true);
    expect(measuresForeignMemory(await other('(func (drop (memory.grow (i32.const 1))))'))).toBe(true);
    expect(measuresForeignMemory(await other('(func (i32.store (i32.const 0) (i32.const 1)))'))).toBe(false);
    expect(measuresForeignMemory(await wat(GROWING))).toBe(false);
  });
});
