import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MemoryShelf } from './memories.ts';

const PAGE = 65536;

function used(initial: number, maximum: number): WebAssembly.Memory {
  const memory = new WebAssembly.Memory({ initial, maximum });
  new Uint8Array(memory.buffer).fill(7);
  return memory;
}

test('a memory that is kept is all zero over its real size', () => {
  const shelf = new MemoryShelf();
  const memory = used(1, 10);
  memory.grow(3);
  new Uint8Array(memory.buffer).fill(9);
  expect(shelf.put(memory, 10)).toBe(true);
  const again = shelf.take({ initialPages: 2, maximumPages: 10 });
  expect(again).toBe(memory);
  expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).toBe(true);
  expect([shelf.kept, shelf.bytes]).toEqual([0, 0]);
});

test('a memory that is mostly zero is all zero afterwards too, wherever something was', () => {
  const shelf = new MemoryShelf();
  const memory = new WebAssembly.Memory({ initial: 3, maximum: 10 });
  const bytes = new Uint8Array(memory.buffer);
  for (const at of [0, 16_383, 16_384, 2 * PAGE - 1, 2 * PAGE, bytes.length - 1]) bytes[at] = 1;
  expect(shelf.put(memory, 10, true)).toBe(true);
  expect(bytes.every((byte) => byte === 0)).toBe(true);
});

/** Where the system hands out pages of 4 KiB, and says what each mapping has. */
const seesPages =
  existsSync('/proc/self/smaps') &&
  !/\[always\]/.test(readIfThere('/sys/kernel/mm/transparent_hugepage/enabled'));

test.runIf(seesPages)('what a guest never touched takes no memory when it is kept', () => {
  // A size that nothing else in this process is likely to have.
  const pages = 241;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: 1000 });
  new Uint8Array(memory.buffer)[100 * PAGE] = 1;
  const residentKiB = (): number => {
    const mapping = new RegExp(`^Size: +${(pages * PAGE) / 1024} kB[^]*?^Rss: +(\\d+) kB`, 'm');
    return Number(mapping.exec(readFileSync('/proc/self/smaps', 'utf8'))?.[1]);
  };
  expect(new MemoryShelf().put(memory, 1000, true)).toBe(true);
  expect(residentKiB()).toBeLessThan(100);
  expect(new MemoryShelf().put(memory, 1000)).toBe(true);
  expect(residentKiB()).toBe((pages * PAGE) / 1024);
});

test('a memory goes only to a module that may grow as far as it may, and that needs no more than it has', () => {
  const shelf = new MemoryShelf();
  shelf.put(used(4, 10), 10);
  expect(shelf.take({ initialPages: 1, maximumPages: 9 })).toBeUndefined();
  expect(shelf.take({ initialPages: 1, maximumPages: 11 })).toBeUndefined();
  expect(shelf.take({ initialPages: 5, maximumPages: 10 })).toBeUndefined();
  expect(shelf.take({ initialPages: 4, maximumPages: 10 })).toBeDefined();
});

test('what is large, or too much, is not kept', () => {
  const shelf = new MemoryShelf();
  expect(shelf.put(used(257, 300), 300)).toBe(false);
  for (let i = 0; i < 64; i++) expect(shelf.put(used(1, 1), 1)).toBe(true);
  expect(shelf.put(used(1, 1), 1)).toBe(false);
  expect([shelf.kept, shelf.bytes]).toEqual([64, 64 * PAGE]);
  expect([shelf.clear().length, shelf.kept, shelf.bytes]).toEqual([64, 0, 0]);
});

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
