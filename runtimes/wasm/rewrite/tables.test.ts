import { describe, expect, it } from 'vitest';
import { limitTables, readTables, TABLE_ELEMENTS } from './tables.ts';
import { wat } from './testing/wat.ts';

const GROW = '(func (export "grow") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0)))';

async function grow(tables: string, by: number): Promise<number> {
  const wasm = limitTables(await wat(`(module ${tables} ${GROW})`)) as Uint8Array<ArrayBuffer>;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm));
  return (exports['grow'] as (elements: number) => number)(by);
}

describe('limitTables', () => {
  it('lets a table grow to its share and no further', async () => {
    expect(await grow('(table $t 5 funcref)', TABLE_ELEMENTS - 5)).toBe(5);
    expect(await grow('(table $t 5 funcref)', TABLE_ELEMENTS)).toBe(-1);
    expect(await grow('(table $t 5 funcref) (table 1 externref)', TABLE_ELEMENTS - 5)).toBe(-1);
  });

  it('keeps what a table begins with, and its initialiser', async () => {
    const text = '(module (func $f) (table (export "t") 3 (ref null func) (ref.func $f)))';
    const wasm = limitTables(await wat(text)) as Uint8Array<ArrayBuffer>;
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm));
    expect((exports['t'] as WebAssembly.Table).get(2)).toBeTypeOf('function');
    expect(readTables(wasm)).toMatchObject([{ min: 3, max: TABLE_ELEMENTS }]);
  });

  it('gives back the same bytes where nothing changes', async () => {
    for (const text of ['(module)', '(module (table 9 9 funcref))', '(module (table 1 7 externref))']) {
      const wasm = await wat(text);
      expect(limitTables(wasm)).toBe(wasm);
    }
  });
});
