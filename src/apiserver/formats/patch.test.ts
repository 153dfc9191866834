import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PatchError } from './format-error.ts';
import type { JsonObject } from './json.ts';
import { applyJsonPatch, applyMergePatch, MAX_JSON_PATCH_OPERATIONS } from './patch.ts';

function statusOf(action: () => unknown): number | undefined {
  try {
    action();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof PatchError) return thrown.status;
    throw thrown;
  }
}

function nested(depth: number): JsonObject {
  let value: JsonObject = {};
  for (let level = 0; level < depth; level += 1) value = { a: value };
  return value;
}

describe('merge patch', () => {
  // The examples of RFC 7386, appendix A, that have objects on both sides.
  it.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j is %j', (object, patch, expected) => {
    expect(applyMergePatch(object, patch)).toEqual(expected);
  });

  it.each([[[]], ['x'], [null], [1]])('refuses %j', (patch) => {
    expect(statusOf(() => applyMergePatch({}, patch))).toBe(400);
  });

  it('refuses what nests too deep, without overflowing the stack', () => {
    expect(statusOf(() => applyMergePatch({}, nested(100_000)))).toBe(400);
  });

  it('keeps __proto__ as a plain key', () => {
    const patch = JSON.parse('{"data":{"__proto__":{"polluted":"yes"}}}') as JsonObject;
    const result = applyMergePatch({ data: { a: '1' } }, patch);
    expect(JSON.stringify(result)).toBe('{"data":{"a":"1","__proto__":{"polluted":"yes"}}}');
    expect(({} as JsonObject).polluted).toBeUndefined();
  });

  it('changes neither the object nor the patch, and is idempotent', () => {
    const json = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }));
    fc.assert(
      fc.property(json, json, (object, patch) => {
        const before = JSON.stringify([object, patch]);
        const once = applyMergePatch(object, patch);
        expect(JSON.stringify([object, patch])).toBe(before);
        expect(JSON.stringify(applyMergePatch(once, patch))).toBe(JSON.stringify(once));
      }),
    );
  });
});

describe('JSON patch', () => {
  const object = { metadata: { labels: { 'a/b': '1', 'c~d': '2' } }, list: [1, 2, 3] };

  it.each([
    [[{ op: 'add', path: '/metadata/labels/x', value: 'y' }], { 'a/b': '1', 'c~d': '2', x: 'y' }],
    [[{ op: 'remove', path: '/metadata/labels/a~1b' }], { 'c~d': '2' }],
    [[{ op: 'replace', path: '/metadata/labels/c~0d', value: '3' }], { 'a/b': '1', 'c~d': '3' }],
    [[{ op: 'move', from: '/metadata/labels/a~1b', path: '/metadata/labels/z' }], { 'c~d': '2', z: '1' }],
    [
      [{ op: 'copy', from: '/metadata/labels/a~1b', path: '/metadata/labels/c~0d' }],
      { 'a/b': '1', 'c~d': '1' },
    ],
    [[{ op: 'test', path: '/metadata/labels/a~1b', value: '1' }], { 'a/b': '1', 'c~d': '2' }],
  ])('%j', (patch, labels) => {
    expect(applyJsonPatch(object, patch).metadata).toEqual({ labels });
  });

  it.each([
    [[{ op: 'add', path: '/list/-', value: 4 }], [1, 2, 3, 4]],
    [[{ op: 'add', path: '/list/3', value: 4 }], [1, 2, 3, 4]],
    [[{ op: 'add', path: '/list/0', value: 0 }], [0, 1, 2, 3]],
    [[{ op: 'remove', path: '/list/1' }], [1, 3]],
  ])('%j on a list', (patch, list) => {
    expect(applyJsonPatch(object, patch).list).toEqual(list);
  });

  it.each([
    [400, {}],
    [400, ['x']],
    [400, [{ op: 'nosuch', path: '/a' }]],
    [400, [{ op: 'add', path: 'a', value: 1 }]],
    [400, [{ op: 'add', path: '/a~2', value: 1 }]],
    [400, [{ op: 'add', path: '/a' }]],
    [400, [{ op: 'move', path: '/a' }]],
    [422, [{ op: 'remove', path: '/nosuch' }]],
    [422, [{ op: 'replace', path: '/metadata/nosuch', value: 1 }]],
    [422, [{ op: 'add', path: '/nosuch/x', value: 1 }]],
    [422, [{ op: 'add', path: '/list/4', value: 1 }]],
    [422, [{ op: 'add', path: '/list/01', value: 1 }]],
    [422, [{ op: 'add', path: '/list/4294967295', value: 1 }]],
    [422, [{ op: 'remove', path: '/list/-' }]],
    [422, [{ op: 'add', path: '/list/0/x', value: 1 }]],
    [422, [{ op: 'test', path: '/list/0', value: 2 }]],
    [422, [{ op: 'copy', from: '/nosuch', path: '/x' }]],
    [422, [{ op: 'move', from: '/metadata', path: '/metadata/labels/x' }]],
    [422, [{ op: 'remove', path: '' }]],
    [422, [{ op: 'replace', path: '', value: [] }]],
    [422, [{ op: 'add', path: '/__proto__/polluted', value: 1 }]],
    [422, [{ op: 'add', path: '/constructor/prototype/polluted', value: 1 }]],
    [422, [{ op: 'add', path: '/toString/x', value: 1 }]],
  ])('answers %i for %j', (status, patch) => {
    expect(statusOf(() => applyJsonPatch(object, patch))).toBe(status);
    expect(({} as JsonObject).polluted).toBeUndefined();
  });

  it('refuses too many operations', () => {
    const patch = Array.from({ length: MAX_JSON_PATCH_OPERATIONS + 1 }, () => ({
      op: 'test',
      path: '/list/0',
      value: 1,
    }));
    expect(statusOf(() => applyJsonPatch(object, patch))).toBe(413);
  });

  it('refuses copies that double the object until it is huge', () => {
    const patch = Array.from({ length: 40 }, (_, index) => ({ op: 'copy', from: '', path: `/copy${index}` }));
    expect(statusOf(() => applyJsonPatch(object, patch))).toBe(422);
  });

  it('applies all operations or none, and changes nothing that it was given', () => {
    const pointer = fc.constantFrom(
      '',
      '/a',
      '/a/b',
      '/list',
      '/list/0',
      '/list/-',
      '/nosuch/x',
      '/__proto__',
    );
    const operation = fc.record({
      op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test'),
      path: pointer,
      from: pointer,
      value: fc.jsonValue({ maxDepth: 2 }),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 8 }), (patch) => {
        const target = { a: { b: 1 }, list: [1, { c: 2 }] };
        const before = JSON.stringify([target, patch]);
        expect([undefined, 400, 422]).toContain(statusOf(() => applyJsonPatch(target, patch)));
        expect(JSON.stringify([target, patch])).toBe(before);
      }),
    );
  });
});
