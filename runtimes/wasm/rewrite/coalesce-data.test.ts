import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coalesceData } from './coalesce-data.ts';
import { ModuleEdit } from './module-edit.ts';
import { wat } from './testing/wat.ts';

function moduleOf(
  segments: readonly (readonly [offset: number, bytes: readonly number[]])[],
  more = '',
): Promise<Uint8Array> {
  const text = segments.map(([offset, bytes]) => {
    const content = bytes.map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('');
    return `(data (i32.const ${offset}) "${content}")`;
  });
  return wat(`(module (memory (export "memory") 2) ${text.join('\n')} ${more})`);
}

function memoryOf(wasm: Uint8Array): Buffer {
  const { memory } = new WebAssembly.Instance(new WebAssembly.Module(wasm as BufferSource)).exports;
  return Buffer.from((memory as WebAssembly.Memory).buffer);
}

/** Like what Go's linker writes: a few bytes, a few zeros. */
const apart = Array.from({ length: 1000 }, (_, i) => [1000 + i * 20, [i & 0xff, 1, 2]] as const);

describe('many data segments', () => {
  it('become few, and the memory stays what it was', async () => {
    const wasm = await moduleOf(apart);
    const joined = coalesceData(wasm);
    expect(new ModuleEdit(joined).data).toHaveLength(1);
    expect(memoryOf(joined).equals(memoryOf(wasm))).toBe(true);
  });

  it('may come in any order, touch or overlap', async () => {
    const segment = fc.tuple(
      fc.nat(20_000),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => [...bytes]),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(segment, { minLength: 64, maxLength: 90 }), async (segments) => {
        const wasm = await moduleOf(segments);
        expect(memoryOf(coalesceData(wasm)).equals(memoryOf(wasm))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ['few', apart.slice(0, 10), ''],
    ['overlapping', [...apart, [1001, [9]] as const], ''],
    ['named by code', apart, '(func (data.drop 3))'],
    ['passive', apart, '(data "abc")'],
    ['at places that are not constant', apart, '(global $at i32 (i32.const 5)) (data (global.get $at) "a")'],
  ] as const)('stay as they are where they are %s', async (_, segments, more) => {
    const wasm = await moduleOf(segments, more);
    expect(coalesceData(wasm)).toBe(wasm);
  });

  it('that do not fit trap as before', async () => {
    const wasm = await moduleOf([...apart, [131_070, [1, 2, 3]]]);
    expect(() => memoryOf(wasm)).toThrow(WebAssembly.RuntimeError);
    expect(() => memoryOf(coalesceData(wasm))).toThrow(WebAssembly.RuntimeError);
  });
});
