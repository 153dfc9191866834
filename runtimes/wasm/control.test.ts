import { expect, test, vi } from 'vitest';
import { ControlBlock } from './control.ts';

test('a guest of a thread whose clock is ahead has only just begun', () => {
  const block = new ControlBlock();
  const now = performance.now();
  const clock = vi.spyOn(performance, 'now').mockReturnValue(now + 20);
  block.enter(7, 1500, 100);
  clock.mockReturnValue(now);
  expect(block.running()).toEqual({ life: 7, usedMs: 1.5, limitMs: 100, heldMs: 0 });
  clock.mockReturnValue(now + 50);
  expect(block.running()).toMatchObject({ heldMs: 30, usedMs: 31.5 });
  clock.mockRestore();
});
