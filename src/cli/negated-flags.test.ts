import { expect, test } from 'vitest';
import { storageRole } from './storage-role.ts';
import { up } from './up.ts';

test.each([
  ['up', up.options],
  ['storage', storageRole.options],
])(
  'no option of %s is named no-something: the parser takes that for the negation of one that is on',
  (_, options) => {
    expect(Object.values(options).filter(({ flag }) => flag.startsWith('no-'))).toEqual([]);
  },
);
