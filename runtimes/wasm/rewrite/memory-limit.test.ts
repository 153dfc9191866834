import { describe, expect, it } from 'vitest';
import { limitMemory, readLayout } from './index.ts';
import { wat } from './testing/wat.ts';

const GROW = '(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))';

async function grow(text: string, maxPages: number, by: number): Promise<number> {
  const wasm = limitMemory(await wat(text), maxPages) as Uint8Array<ArrayBuffer>;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm));
  return (exports['grow'] as (pages: number) => number)(by);
}

describe('limitMemory', () => {
  it('lets memory grow to the limit and no further', async () => {
    expect(await grow(`(module (memory 2) ${GROW})`, 5, 3)).toBe(2);
    expect(await grow(`(module (memory 2) ${GROW})`, 5, 4)).toBe(-1);
    expect(await grow(`(module (memory 2 100) ${GROW})`, 5, 4)).toBe(-1);
  });

  it('keeps a lower maximum of its own, and gives back the same bytes', async () => {
    const wasm = await wat(`(module (memory 2 3) ${GROW})`);
    expect(limitMemory(wasm, 5)).toBe(wasm);
  });

  it('bounds every memory, and leaves imported ones alone', async () => {
    const wasm = await wat(
      '(module (import "host" "memory" (memory 1 90)) (memory 1) (memory i64 2 200) (memory 1 4))',
    );
    const layout = readLayout(limitMemory(wasm, 10));
    expect(layout.memories.map(({ min, max, wide }) => [min, max, wide])).toEqual([
      [1, 10, false],
      [2, 10, true],
      [1, 4, false],
    ]);
    expect(layout.imports[0]?.memory?.max).toBe(90);
  });

  it('leaves a module without memory alone', async () => {
    const wasm = await wat('(module (func))');
    expect(limitMemory(wasm, 1)).toBe(wasm);
  });

  it('stays below what 32-bit addresses reach', async () => {
    const layout = readLayout(limitMemory(await wat('(module (memory 1) (memory i64 1))'), 100_000));
    expect(layout.memories.map(({ max }) => max)).toEqual([65_536, 100_000]);
  });

  it('refuses a memory that begins over the limit', async () => {
    const wasm = await wat('(module (memory 6))');
    expect(() => limitMemory(wasm, 5)).toThrow(/begins with 6 pages.*limit of 5/);
  });
});
