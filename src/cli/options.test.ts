import { expect, test } from 'vitest';
import { flag } from './options.ts';

test('no flag is named no-something, which the parser takes for the negation of one that is on', () => {
  expect(() => flag('no-prune', 'Prune nothing.')).toThrow('no-prune');
  expect(flag('prune', 'Prune.')).toMatchObject({ flag: 'prune', kind: 'flag' });
});
