/** A body that is kept because it came without its length. */
import { describe, expect, it } from 'vitest';
import { ControlBlock } from '../control.ts';
import { SharedLimits } from '../pool/shared-limits.ts';
import { threadMemory } from '../pool/thread.ts';
import { MemoryBody } from '../wasi/testing/memory-invocation.ts';
import { Stdin } from './stdio.ts';

const MIB = 1024 * 1024;

function* bytes(count: number): Generator<Uint8Array> {
  for (let i = 0; i < count; i++) yield Uint8Array.of(i);
}

describe('a body that comes byte by byte', () => {
  it('is kept in order, however many chunks it has', async () => {
    const stdin = new Stdin(new MemoryBody(bytes(200_000)), MIB);
    expect(await stdin.buffer()).toBe(200_000);
    const all = new Uint8Array(200_000);
    expect(stdin.take([all])).toBe(200_000);
    expect(
      Buffer.compare(
        all,
        Uint8Array.from({ length: 200_000 }, (_, i) => i),
      ),
    ).toBe(0);
    stdin.close();
  });

  it('is counted with what its chunks cost, which is there again once it is closed', async () => {
    threadMemory.attach(SharedLimits.create({ maxBytes: 24 * MIB }).open(), new ControlBlock().memory);
    for (let i = 0; i < 2; i++) {
      const greedy = new Stdin(new MemoryBody(bytes(150_000)), MIB);
      await expect(greedy.buffer()).rejects.toMatchObject({ code: 'PLATFORM_BUSY' });
      greedy.close();
      const modest = new Stdin(new MemoryBody(bytes(50_000)), MIB);
      expect(await modest.buffer()).toBe(50_000);
      modest.close();
    }
  });
});
