import { expect, it } from 'vitest';
import { resolveFunction, type FissionFunction } from './index.ts';
import { interned } from './interned.ts';

it('gives one object for all that are equal, frozen', () => {
  const first = interned({ a: 1, list: [{ b: 'x' }] });
  expect(interned({ a: 1, list: [{ b: 'x' }] })).toBe(first);
  expect(interned({ a: 2, list: [{ b: 'x' }] })).toEqual({ a: 2, list: [{ b: 'x' }] });
  expect(Object.isFrozen(first.list[0])).toBe(true);
});

it('keeps no more than it may, and gives what it was given all the same', () => {
  const first = interned({ first: true });
  for (let i = 0; i < 5000; i++) expect(interned({ i })).toEqual({ i });
  expect(interned({ first: true })).not.toBe(first);
  const long = { text: 'x'.repeat(5000) };
  expect(interned(long)).toBe(long);
  expect(Object.isFrozen(long)).toBe(true);
});

it('takes nothing that JSON makes one with something else', () => {
  expect(interned({ x: null })).toEqual({ x: null });
  for (const x of [Infinity, -Infinity, NaN]) {
    expect(() => interned({ x })).toThrow(new TypeError(`x is ${x}, which JSON writes as null`));
    expect(() => interned({ list: [1, x] })).toThrow('1 is');
    expect(() => interned(x)).toThrow('the value is');
  }
  expect(() => interned(undefined)).toThrow('undefined is no value that JSON has');
});

it('is given finite limits, whatever a function says', () => {
  const fn = (spec: object): FissionFunction => ({
    apiVersion: 'fission.io/v1',
    kind: 'Function',
    metadata: { name: 'f', namespace: 'default' },
    spec: { environment: { name: 'e' }, package: { packageref: { name: 'p' } }, ...spec },
  });
  const { limits } = resolveFunction(fn({ concurrency: 1e300, requestsPerPod: 1e300 }));
  expect(limits.concurrency).toBe(Number.MAX_SAFE_INTEGER);
});
