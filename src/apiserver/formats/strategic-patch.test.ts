import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PatchError } from './format-error.ts';
import type { JsonObject } from './json.ts';
import { applyStrategicMergePatch } from './strategic-patch.ts';
import goCases from './testing/strategic-go.json' with { type: 'json' };

interface GoCase {
  readonly object: JsonObject;
  readonly patch: JsonObject;
  readonly result?: JsonObject;
  readonly refused?: boolean;
}

/** The result, or 'refused' where it is refused properly; throws where it fails otherwise. */
function applied(kind: string, object: JsonObject, patch: unknown): JsonObject | 'refused' {
  try {
    return applyStrategicMergePatch(kind, object, patch);
  } catch (thrown) {
    if (thrown instanceof PatchError) return 'refused';
    throw thrown;
  }
}

describe('strategic merge patch', () => {
  it.each((goCases as unknown as GoCase[]).map((goCase, index) => [index, goCase] as const))(
    'case %i is as in k8s.io/apimachinery',
    (_, { object, patch, result, refused }) => {
      const before = JSON.stringify([object, patch]);
      expect(applied('Namespace', object, patch)).toEqual(refused ? 'refused' : result);
      expect(JSON.stringify([object, patch])).toBe(before);
    },
  );

  it('merges the data of a ConfigMap and removes by null', () => {
    const object = { data: { a: '1', b: '2' }, metadata: { labels: { x: 'y' } } };
    const patch = { data: { b: null, c: '3' }, metadata: { labels: { z: 'w' } } };
    expect(applyStrategicMergePatch('ConfigMap', object, patch)).toEqual({
      data: { a: '1', c: '3' },
      metadata: { labels: { x: 'y', z: 'w' } },
    });
  });

  it('takes kubectl apply with a removed finalizer', () => {
    const object = { metadata: { finalizers: ['a', 'b', 'c'] } };
    const patch = {
      metadata: {
        '$deleteFromPrimitiveList/finalizers': ['b'],
        '$setElementOrder/finalizers': ['c', 'a', 'd'],
        finalizers: ['d'],
      },
    };
    expect(applyStrategicMergePatch('Secret', object, patch)).toEqual({
      metadata: { finalizers: ['c', 'a', 'd'] },
    });
  });

  it('takes $patch: replace, delete and merge on an object', () => {
    const object = { data: { a: '1' } };
    expect(applyStrategicMergePatch('ConfigMap', object, { data: { $patch: 'replace', b: '2' } })).toEqual({
      data: { b: '2' },
    });
    expect(applyStrategicMergePatch('ConfigMap', object, { data: { $patch: 'delete' } })).toEqual({
      data: {},
    });
    expect(applyStrategicMergePatch('ConfigMap', object, { data: { $patch: 'merge', b: '2' } })).toEqual({
      data: { a: '1', b: '2' },
    });
  });

  it('leaves no directive behind in an object that is new', () => {
    const patch = {
      metadata: { '$setElementOrder/finalizers': ['a'], finalizers: ['a'], x: { $patch: 'delete' } },
    };
    expect(applyStrategicMergePatch('Event', {}, patch)).toEqual({ metadata: { finalizers: ['a'] } });
  });

  it('refuses kinds without merge rules by 415', () => {
    expect(() => applyStrategicMergePatch('Function', {}, {})).toThrow(
      expect.objectContaining({ status: 415 }),
    );
  });

  it.each([
    [{ metadata: { '$setElementOrder/finalizers': 'a' } }],
    [{ metadata: { $retainKeys: 1 } }],
    [{ metadata: { '$deleteFromPrimitiveList/finalizers': {} } }],
    [{ metadata: { finalizers: [{}], $patch: 7 } }],
    [{ metadata: { ownerReferences: [{ name: 'without uid' }] } }],
    [{ metadata: { ownerReferences: [3] } }],
    [[]],
  ])('refuses %j by 400', (patch) => {
    const object = { metadata: { finalizers: ['a'], ownerReferences: [{ uid: 'u' }] } };
    expect(() => applyStrategicMergePatch('Secret', object, patch)).toThrow(
      expect.objectContaining({ status: 400 }),
    );
  });

  it('applies or refuses any patch, without pollution', () => {
    const key = fc.constantFrom(
      'metadata',
      'finalizers',
      'ownerReferences',
      '$patch',
      '$retainKeys',
      '$setElementOrder/finalizers',
      '$setElementOrder/ownerReferences',
      '$deleteFromPrimitiveList/finalizers',
      '__proto__',
      'uid',
    );
    const { node } = fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<unknown>('a', 'replace', 'delete', null, 1),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(key, tie('node'), { maxKeys: 4 }),
      ),
    }));
    const object = { metadata: { finalizers: ['a', 'b'], ownerReferences: [{ uid: 'a' }, { uid: 'b' }] } };
    fc.assert(
      fc.property(fc.dictionary(key, node), (patch) => {
        expect(applied('Namespace', object, patch)).toBeDefined();
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});
