import { describe, expect, it } from 'vitest';
import { ControlBlock } from '../control.ts';
import { NO_LIMIT, ROOM_OFFSET } from './grow-check.ts';
import { addInterruptionCheck } from './interrupt.ts';
import { wat } from './testing/wat.ts';

interface Grower {
  grow(pages: number): number;
  size(): number;
  /** What the thread may still take, pages. */
  room: number;
}

async function grower(source: string): Promise<Grower> {
  const block = new ControlBlock();
  const word = new Int32Array(block.memory.buffer, ROOM_OFFSET, 1);
  const idle = new WebAssembly.Instance(
    new WebAssembly.Module(
      (await wat('(module (func (export "yield") (result i32) i32.const 0))')) as BufferSource,
    ),
  );
  const instance = new WebAssembly.Instance(
    new WebAssembly.Module(addInterruptionCheck(await wat(source)) as BufferSource),
    { fissium: { control: block.memory, yield: idle.exports['yield'] as WebAssembly.ImportValue } },
  );
  const { grow, size } = instance.exports as unknown as Pick<Grower, 'grow' | 'size'>;
  return {
    grow,
    size,
    get room() {
      return (word[0] ?? 0) ^ NO_LIMIT;
    },
    set room(pages: number) {
      word[0] = pages ^ NO_LIMIT;
    },
  };
}

const ONE = `(module (memory 1 10)
  (func (export "grow") (param i32) (result i32) local.get 0 memory.grow)
  (func (export "size") (result i32) memory.size))`;
const SECOND_OF_TWO = `(module (memory 3 3) (memory 1 10)
  (func (export "grow") (param i32) (result i32) local.get 0 memory.grow 1)
  (func (export "size") (result i32) memory.size 1))`;

describe.each([
  ['one memory', ONE],
  ['the second of two memories', SECOND_OF_TWO],
])('%s', (_, source) => {
  it('grows like any other where nothing is limited', async () => {
    const guest = await grower(source);
    expect([guest.grow(0), guest.grow(3), guest.grow(7), guest.grow(6), guest.size()]).toEqual([
      1, 1, -1, 4, 10,
    ]);
  });

  it('grows as far as the thread has room, and takes it', async () => {
    const guest = await grower(source);
    guest.room = 4;
    expect([guest.grow(3), guest.room]).toEqual([1, 1]);
    expect([guest.grow(2), guest.grow(-1), guest.room, guest.size()]).toEqual([-1, -1, 1, 4]);
    expect([guest.grow(1), guest.grow(1), guest.grow(0), guest.room]).toEqual([4, -1, 5, 0]);
    guest.room = 3;
    expect([guest.grow(3), guest.size()]).toEqual([5, 8]);
  });

  it('takes no room where it cannot grow for its own limit', async () => {
    const guest = await grower(source);
    guest.room = 100;
    expect([guest.grow(10), guest.room]).toEqual([-1, 100]);
  });
});
