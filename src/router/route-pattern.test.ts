import { describe, expect, it } from 'vitest';
import { compilePattern } from './route-pattern.ts';

describe('compilePattern', () => {
  it.each([
    ['users', /must start with/],
    ['/{id', /never closed/],
    ['/id}', /no "{" before/],
    ['/{}', /parameter name ""/],
    ['/{a b}', /parameter name "a b"/],
    ['/{id}/{ID}', /same name/],
    ['/{id:}', /empty expression/],
    ['/{id:(?=a)b}', /linear time/],
    ['/{id:(a)\\1}', /\\1 is not supported/],
    ['/{id:[}', /linear time/],
    ['/{id:[[:nosuch:]]}', /nosuch/],
  ])('refuses %s', (path, message) => {
    expect(() => compilePattern(path, 'exact')).toThrow(message);
  });

  it('refuses a path of thousands of characters', () => {
    expect(() => compilePattern(`/${'a'.repeat(3000)}`, 'exact')).toThrow(/3001 characters/);
  });

  it('keeps the braces of a repeat and takes groups of both kinds', () => {
    const [, segment] = compilePattern('/x/{id:(a|b)[0-9]{3}}', 'exact').segments;
    expect(segment).toMatchObject({ kind: 'parameter' });
    if (segment?.kind !== 'parameter') return;
    expect(segment.regexp?.exec('a123')?.slice(1)).toEqual(['a123']);
    expect(segment.regexp?.exec('a12')).toBeNull();
  });

  it("reads Go's character classes", () => {
    const [segment] = compilePattern('/{id:[[:alpha:]_]+}', 'exact').segments;
    if (segment?.kind !== 'parameter') throw new Error('no parameter');
    expect(segment.regexp?.test('ab_')).toBe(true);
    expect(segment.regexp?.test('a1')).toBe(false);
  });

  it.each(['.*', '[a/b]+', '[^x]+', '\\S+', '[!-~]+', 'a/b', '\\x2f'])(
    'sees that %s can match a slash',
    (expression) => {
      expect(compilePattern(`/{p:${expression}}`, 'exact').tail).not.toBeNull();
    },
  );

  it.each(['[0-9]+', '\\w+', '[^/]+', 'a|b', '\\d{2}'])('sees that %s cannot', (expression) => {
    expect(compilePattern(`/{p:${expression}}`, 'exact').tail).toBeNull();
  });

  it('is linear where a backtracking engine would take forever', () => {
    const [segment] = compilePattern('/{id:(a|a)*}', 'exact').segments;
    if (segment?.kind !== 'parameter') throw new Error('no parameter');
    expect(segment.regexp?.test(`${'a'.repeat(5000)}!`)).toBe(false);
  });

  it('compares fixed text in the form of request paths', () => {
    expect(compilePattern('/caf%C3%A9', 'exact').literal).toBe('/café');
    expect(compilePattern('/100%', 'exact').literal).toBe('/100%');
  });
});
