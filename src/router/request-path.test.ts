import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchForm, parseTarget, pathFromSegment } from './request-path.ts';

describe('parseTarget', () => {
  it.each([
    ['/a/b?x=1', '/a/b', '?x=1'],
    ['/', '/', ''],
    ['/?', '/', '?'],
    ['/a//b', '/a//b', ''],
    ['//a', '//a', ''],
    ['/a/./b/../c', '/a/c', ''],
    ['/a/..', '/', ''],
    ['/a/b/.', '/a/b/', ''],
    ['/../../a', '/a', ''],
    ['/a/%2e%2E/b', '/b', ''],
    ['/a/.hidden', '/a/.hidden', ''],
    ['/a%2Fb', '/a%2Fb', ''],
    ['/a/..%2Fb', '/a/..%2Fb', ''],
    ['/caf\u00e9', '/caf%E9', ''],
  ])('%s is the path %s', (target, path, query) => {
    expect(parseTarget(target)).toEqual({ path, query, authority: null });
  });

  it('takes the authority of an absolute form', () => {
    expect(parseTarget('http://example.com:80/a?b')).toEqual({
      path: '/a',
      query: '?b',
      authority: 'example.com:80',
    });
    expect(parseTarget('http://example.com?b')?.path).toBe('/');
  });

  it.each(['', 'a', '/%zz', '/%', '/a#b', 'ftp://x/', 'http:///x'])('refuses %j', (target) => {
    expect(parseTarget(target)).toBeNull();
  });

  it('gives visible ASCII without dot segments for any target of the parser', () => {
    const byte = fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code));
    const piece = fc.oneof(byte, fc.constantFrom('/', '.', '..', '%2e', '%2F', '%00', '%C3%A9', '%FF', '?'));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const target = parseTarget(`/${pieces.join('')}`);
        if (target === null) return;
        expect(target.path).toMatch(/^\/[\x21-\x7e]*$/);
        const segments = matchForm(target.path).split('/');
        expect(segments).not.toContain('.');
        expect(segments).not.toContain('..');
        // Decoding neither makes nor takes a separator.
        expect(segments.length).toBe(target.path.split('/').length);
      }),
    );
  });
});

describe('matchForm', () => {
  it.each([
    ['/a%2fb', '/a%2Fb'],
    ['/%61', '/a'],
    ['/caf%C3%A9', '/café'],
    ['/%FF', '/%FF'],
    ['/%00%41', '/%00A'],
    ['/%3F%23', '/?#'],
    ['/%252F', '/%2F'],
  ])('%s is compared as %s', (path, form) => {
    expect(matchForm(path)).toBe(form);
  });
});

describe('pathFromSegment', () => {
  it.each([
    ['/a/b/c', 0, '/a/b/c'],
    ['/a/b/c', 2, '/c'],
    ['/a/', 1, '/'],
    ['/a', 1, '/'],
    ['/a//b', 1, '//b'],
  ])('%s without %i segments is %s', (path, count, rest) => {
    expect(pathFromSegment(path, count)).toBe(rest);
  });
});
