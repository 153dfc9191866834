import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SelectorError } from './format-error.ts';
import { parseFieldSelector, parseLabelSelector } from './selectors.ts';

/** Whether the selector matches a=a, or 'refused'; throws where it fails otherwise. */
function matched(selector: string): boolean | 'refused' {
  try {
    return parseLabelSelector(selector)({ a: 'a' });
  } catch (thrown) {
    if (thrown instanceof SelectorError) return 'refused';
    throw thrown;
  }
}

describe('label selectors', () => {
  it.each([
    ['', undefined, true],
    ['a=b', { a: 'b' }, true],
    ['a = b', { a: 'b' }, true],
    ['a==b', { a: 'c' }, false],
    ['a!=b', {}, true],
    ['a!=b', { a: 'b' }, false],
    ['a', { a: '' }, true],
    ['a', undefined, false],
    ['!a', undefined, true],
    ['! a', { a: 'x' }, false],
    ['a in (x, y)', { a: 'y' }, true],
    ['a in (x,y)', {}, false],
    ['a notin (x,y)', {}, true],
    ['a notin (x,y)', { a: 'x' }, false],
    ['a in ()', { a: '' }, true],
    ['a in (x,)', { a: '' }, true],
    ['a=', { a: '' }, true],
    ['a=,b', { a: '', b: '1' }, true],
    ['app.kubernetes.io/name=x,tier notin (db)', { 'app.kubernetes.io/name': 'x' }, true],
    ['in in (in)', { in: 'in' }, true],
    ['a>1', { a: '2' }, true],
    ['a<1', { a: '2' }, false],
    ['a>1', { a: 'x' }, false],
    ['constructor', {}, false],
  ] as const)('%s of %j is %s', (selector, labels, expected) => {
    expect(parseLabelSelector(selector)(labels)).toBe(expected);
  });

  it.each([
    ['a=b,', 'the end'],
    [',a', "','"],
    ['a b', "'b'"],
    ['a in x', "'x'"],
    ['a in (x', 'the end'],
    ['a in (x=y)', "'='"],
    ['=b', "'='"],
    ['a=b=c', "'='"],
    ['-a', "'-a'"],
    ['a/b/c', "'a/b/c'"],
    ['UPPER/b', "'UPPER/b'"],
    [`a=${'x'.repeat(64)}`, 'no label value'],
    ['a>b', "'b'"],
  ])('refuses %s and names what it saw', (selector, seen) => {
    expect(() => parseLabelSelector(selector)).toThrow(SelectorError);
    expect(() => parseLabelSelector(selector)).toThrow(seen);
  });

  it('parses or refuses any text', () => {
    const pieces = fc.constantFrom(
      'a',
      'in',
      'notin',
      '=',
      '!',
      '(',
      ')',
      ',',
      ' ',
      '<',
      '-',
      '/',
      'é',
      '\\',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map((parts) => parts.join('')),
        ),
        (text) => {
          expect([true, false, 'refused']).toContain(matched(text));
        },
      ),
    );
  });
});

describe('field selectors', () => {
  const event = {
    metadata: { name: 'e', namespace: 'ns' },
    involvedObject: { kind: 'Function', name: 'a,b=c\\d' },
    type: 'Normal',
  };
  const fields = ['involvedObject.kind', 'involvedObject.name', 'type', 'reason'];

  it.each([
    ['', true],
    ['metadata.name=e', true],
    ['metadata.name==e,metadata.namespace!=other', true],
    ['metadata.name!=e', false],
    ['involvedObject.kind=Function,type=Warning', false],
    ['involvedObject.name=a\\,b\\=c\\\\d', true],
    ['reason=', true],
    ['reason!=x', true],
    [',metadata.name=e,', true],
  ])('%s is %s', (selector, expected) => {
    expect(parseFieldSelector(selector, fields)(event)).toBe(expected);
  });

  it.each([
    ['spec.x=1', "field label not supported: 'spec.x'"],
    ['metadata.name', 'no operator'],
    ['type=a=b', "'='"],
    ['type=a\\x', "'\\x'"],
    ['type=a\\', "'\\'"],
  ])('refuses %s', (selector, message) => {
    expect(() => parseFieldSelector(selector, fields)).toThrow(SelectorError);
    expect(() => parseFieldSelector(selector, fields)).toThrow(message);
  });

  it('finds any value once it is escaped', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const escaped = value.replace(/[\\,=]/g, '\\$&');
        expect(parseFieldSelector(`metadata.name=${escaped}`)({ metadata: { name: value } })).toBe(true);
      }),
    );
  });
});
