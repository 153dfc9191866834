import { describe, expect, it } from 'vitest';
import { ModuleEdit } from './module-edit.ts';
import { wat } from './testing/wat.ts';
import { virtualiseMemory } from './virtual-memory.ts';
import { IMPORT_KIND } from './types.ts';

async function both(limits: string): Promise<{ real: Guest; virtual: Guest }> {
  const source = await wat(`(module (memory (export "memory") ${limits})
    (func (export "size") (result i32) (memory.size))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`);
  const edit = new ModuleEdit(source);
  edit.addExport('pages', IMPORT_KIND.global, virtualiseMemory(edit).pages);
  return { real: instance(source), virtual: instance(edit.write()) };
}

interface Guest {
  readonly memory: WebAssembly.Memory;
  readonly pages: WebAssembly.Global<'i32'>;
  readonly size: () => number;
  readonly grow: (pages: number) => number;
}

function instance(wasm: Uint8Array): Guest {
  return new WebAssembly.Instance(new WebAssembly.Module(wasm as BufferSource)).exports as unknown as Guest;
}

describe('virtual memory size', () => {
  it.each(['1', '1 5', '0', '0 0', '2 2'])('answers like the real one: (memory %s)', async (limits) => {
    const { real, virtual } = await both(limits);
    for (const pages of [0, 1, 2, 3, 65_536, -1, 1, 0x7fff_ffff, -0x8000_0000, 2]) {
      expect(virtual.grow(pages)).toBe(real.grow(pages));
      expect(virtual.size()).toBe(real.size());
      expect(virtual.memory.buffer.byteLength).toBe(real.memory.buffer.byteLength);
    }
  });

  it('begins again without a new memory', async () => {
    const { virtual } = await both('1 5');
    expect(virtual.grow(3)).toBe(1);
    virtual.pages.value = 1;
    expect(virtual.size()).toBe(1);
    expect(virtual.memory.buffer.byteLength).toBe(4 * 65_536);
    expect([virtual.grow(1), virtual.grow(5), virtual.grow(3), virtual.size()]).toEqual([1, -1, 2, 5]);
    expect(virtual.memory.buffer.byteLength).toBe(5 * 65_536);
  });

  it('fails to grow where the real memory does', async () => {
    const { virtual } = await both('1');
    expect([virtual.grow(65_535), virtual.size()]).toEqual([-1, 1]);
  });
});
