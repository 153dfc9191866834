import { describe, expect, it } from 'vitest';
import { ModuleEdit } from './module-edit.ts';
import { wat } from './testing/wat.ts';
import { checkWrites, writesMemory } from './write-check.ts';
import { IMPORT_KIND } from './types.ts';

const WINDOW = { from: 1000, to: 3000 };

/** Every instruction that writes at `local 0`, and how many bytes. */
const WRITES: readonly (readonly [name: string, text: string, bytes: number])[] = [
  ['i32.store', '(i32.store (local.get 0) (i32.const -1))', 4],
  ['i64.store', '(i64.store (local.get 0) (i64.const -1))', 8],
  ['f32.store', '(f32.store (local.get 0) (f32.const -nan:0x7fffff))', 4],
  ['f64.store', '(f64.store (local.get 0) (f64.const -nan:0xfffffffffffff))', 8],
  ['i32.store8', '(i32.store8 (local.get 0) (i32.const -1))', 1],
  ['i32.store16', '(i32.store16 (local.get 0) (i32.const -1))', 2],
  ['i64.store8', '(i64.store8 (local.get 0) (i64.const -1))', 1],
  ['i64.store16', '(i64.store16 (local.get 0) (i64.const -1))', 2],
  ['i64.store32', '(i64.store32 (local.get 0) (i64.const -1))', 4],
  ['v128.store', '(v128.store (local.get 0) (v128.const i64x2 -1 -1))', 16],
  ['v128.store8_lane', '(v128.store8_lane 1 (local.get 0) (v128.const i64x2 -1 -1))', 1],
  ['v128.store16_lane', '(v128.store16_lane 1 (local.get 0) (v128.const i64x2 -1 -1))', 2],
  ['v128.store32_lane', '(v128.store32_lane 1 (local.get 0) (v128.const i64x2 -1 -1))', 4],
  ['v128.store64_lane', '(v128.store64_lane 1 (local.get 0) (v128.const i64x2 -1 -1))', 8],
  ['memory.fill', '(memory.fill (local.get 0) (i32.const 255) (i32.const 100))', 100],
  ['memory.copy', '(memory.copy (local.get 0) (i32.const 30000) (i32.const 100))', 100],
  ['memory.init', '(memory.init $p (local.get 0) (i32.const 0) (i32.const 3))', 3],
];

async function instance(
  text: string,
): Promise<{ bytes: Uint8Array; wrote: () => boolean; store: (at: number) => void }> {
  const source = await wat(`(module (memory (export "memory") 1) (data $p "\\ff\\ff\\ff")
    (func (export "store") (param i32) ${text}))`);
  const edit = new ModuleEdit(source);
  edit.addExport('wrote', IMPORT_KIND.global, checkWrites(edit, WINDOW));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(edit.write() as BufferSource));
  const flag = exports['wrote'] as WebAssembly.Global<'i32'>;
  const bytes = new Uint8Array((exports['memory'] as WebAssembly.Memory).buffer);
  bytes.fill(255, 30_000, 31_000);
  return { bytes, wrote: () => flag.value === 1, store: exports['store'] as (at: number) => void };
}

describe.each(WRITES)('%s', (_, text, length) => {
  it.each([1000, 1500, 2900 - 100])('at %i, inside of the window, writes and sets no flag', async (at) => {
    const { bytes, wrote, store } = await instance(text);
    store(at);
    expect([...bytes.subarray(at, at + length)]).toEqual(Array.from({ length }, () => 255));
    expect(bytes.subarray(0, 30_000).filter((byte) => byte === 255)).toHaveLength(length);
    expect(wrote()).toBe(false);
  });

  it.each([0, 999, 3000, 20_000])('at %i, outside, writes and sets it', async (at) => {
    const { bytes, wrote, store } = await instance(text);
    store(at);
    expect([...bytes.subarray(at, at + length)]).toEqual(Array.from({ length }, () => 255));
    expect(wrote()).toBe(true);
  });

  it('across either end of the window sets it', async () => {
    const { wrote, store } = await instance(text);
    store(3000 - length + 1);
    expect(wrote()).toBe(true);
    const other = await instance(text);
    other.store(1000 - length);
    expect(other.wrote()).toBe(true);
  });
});

describe('the write check', () => {
  it('adds the offset to the address', async () => {
    const low = await instance('(i32.store offset=2000 (local.get 0) (i32.const 1))');
    low.store(0);
    expect(low.wrote()).toBe(false);
    low.store(1000);
    expect(low.wrote()).toBe(true);
  });

  it('knows as writes all instructions that are, and no loads', () => {
    for (let opcode = 0x28; opcode <= 0x3e; opcode++) expect(writesMemory(opcode, 0)).toBe(opcode >= 0x36);
    expect([8, 9, 10, 11, 12, 14, 17].filter((sub) => writesMemory(0xfc, sub))).toEqual([8, 10, 11]);
    expect(Array.from({ length: 0x114 }, (_, sub) => sub).filter((sub) => writesMemory(0xfd, sub))).toEqual([
      11, 88, 89, 90, 91,
    ]);
    expect([0, 1, 2, 3, 0x10, 0x16, 0x17, 0x4e].filter((sub) => writesMemory(0xfe, sub))).toEqual([
      0x17, 0x4e,
    ]);
  });
});
