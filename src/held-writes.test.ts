import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { HeldWrites } from './held-writes.ts';

function writes(): { readonly done: number[]; readonly of: (number: number) => { write(): void } } {
  const done: number[] = [];
  return { done, of: (number) => ({ write: () => void done.push(number) }) };
}

it('are made at the end of the turn, in order', async () => {
  const { done, of } = writes();
  const held = new HeldWrites();
  for (let i = 0; i < 3; i++) held.add(of(i));
  expect(done).toEqual([]);
  await nextTurn();
  expect(done).toEqual([0, 1, 2]);
  held.add(of(3));
  await nextTurn();
  expect(done).toEqual([0, 1, 2, 3]);
});

it('are made at once where many wait, or somebody says so, each once', async () => {
  const { done, of } = writes();
  const held = new HeldWrites();
  for (let i = 0; i < 40; i++) held.add(of(i));
  expect(done.length).toBeGreaterThanOrEqual(32);
  held.flush();
  const all = Array.from({ length: 40 }, (_, i) => i);
  expect(done).toEqual(all);
  await nextTurn();
  expect(done).toEqual(all);
});

it('may bring further ones', async () => {
  const { done, of } = writes();
  const held = new HeldWrites();
  held.add({
    write: () => {
      done.push(0);
      held.add(of(1));
    },
  });
  held.flush();
  expect(done).toEqual([0]);
  await nextTurn();
  expect(done).toEqual([0, 1]);
});
