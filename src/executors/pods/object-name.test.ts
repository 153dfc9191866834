import { expect, it } from 'vitest';

import { objectName } from './object-name.ts';

const uid = '11111111-2222-3333-4444-555555555555';

it.each([
  ['hello', 'default', 'newdeploy-hello-default-4444-555555555555'],
  [
    'a-function-with-a-long-name',
    'and-a-long-namespace',
    'newdeploy-a-function-with-a-and-a-long-namesp-4444-555555555555',
  ],
])('names the objects of %s in %s as Fission does, in 63 characters', (name, namespace, expected) => {
  expect(objectName('newdeploy', { name, namespace, uid })).toBe(expected);
  expect(expected.length).toBeLessThanOrEqual(63);
});
