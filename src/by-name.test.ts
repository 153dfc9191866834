import { expect, it } from 'vitest';
import { ByName } from './by-name.ts';

it('keeps functions of one name in different namespaces apart, and forgets what is deleted', () => {
  const table = new ByName<number>();
  table.set('a', 'f', 1);
  table.set('b', 'f', 2);
  table.set('a/b', 'c', 3);
  table.set('a', 'b/c', 4);
  table.set('a', 'f', 5);
  expect([table.get('a', 'f'), table.get('b', 'f'), table.get('a/b', 'c'), table.get('a', 'b/c')]).toEqual([
    5, 2, 3, 4,
  ]);
  expect([...table.values()].toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5]);
  expect(table.delete('b', 'f')).toBe(true);
  expect(table.delete('b', 'f')).toBe(false);
  expect(table.delete('a', 'g')).toBe(false);
  expect(table.get('b', 'f')).toBeUndefined();
  table.clear();
  expect([...table.values()]).toEqual([]);
});
