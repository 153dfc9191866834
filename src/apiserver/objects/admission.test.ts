import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeMetadata, metadataCauses } from '../metadata.ts';
import { isRecord, type KubeObject } from '../object.ts';
import { ApiError } from '../status.ts';
import { configMap, resource, temporaryStore } from '../testing/objects.ts';
import { admit, checkObject, withoutField } from './admission.ts';
import { decodeDeleteOptions } from './delete.ts';
import { listObjects } from './list.ts';
import { parseSelection } from './selection.ts';

/** Whatever a client may send ends in an object or in a refusal that is told. */
const refusalOr = <T>(act: () => T, highest = 499): T | undefined => {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    expect(error.code).toBeGreaterThanOrEqual(400);
    expect(error.code).toBeLessThanOrEqual(highest);
    return undefined;
  }
};

describe('admit', () => {
  test.each(['configmaps', 'secrets', 'events', 'namespaces', 'functions.fission.io', 'packages.fission.io'])(
    'takes or refuses any JSON as one of the %s, and leaves no unknown field in',
    (id) => {
      const kind = resource(id);
      const anything = fc.jsonValue();
      const looksRight = fc.record(
        { metadata: anything, spec: anything, data: anything, status: anything, [`extra-${id}`]: anything },
        { requiredKeys: [] },
      );
      fc.assert(
        fc.property(fc.oneof(anything, looksRight), (body) => {
          const admitted = refusalOr(() => admit(kind, body, 'Warn'));
          if (admitted === undefined) return;
          expect(kind.validate(admitted.object).filter((error) => error.unknown)).toEqual([]);
          refusalOr(() => checkObject(kind, kind.normalise(admitted.object)));
        }),
        { numRuns: 200 },
      );
    },
  );
});

describe('withoutField', () => {
  test('drops what the path names, with dots in keys and in lists, and nothing else', () => {
    const object = {
      ...configMap('x'),
      spec: { 'a.b': { c: 1 }, a: [{ b: 2, d: 3 }], 'odd key': 4, kept: 5 },
    };
    let left: KubeObject = object;
    for (const path of ['spec.a.b.c', 'spec.a[0].b', 'spec[odd key]', 'spec.none.such', 'spec.a[7].b']) {
      left = withoutField(left, path);
    }
    expect(left['spec']).toEqual({ 'a.b': {}, a: [{ d: 3 }], kept: 5 });
    expect(object.spec.kept).toBe(5);
    expect(object.spec.a).toEqual([{ b: 2, d: 3 }]);
  });
});

describe('decodeMetadata', () => {
  test('keeps what ObjectMeta has, names what it has not, and never lets a wrong type through', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const decoded = refusalOr(() => decodeMetadata(value));
        if (decoded === undefined) return;
        for (const label of Object.values(decoded.metadata.labels ?? {})) expect(label).toBeTypeOf('string');
        metadataCauses(decoded.metadata, 'subdomain');
        const given = isRecord(value) ? Object.keys(value) : [];
        expect(['name', ...given]).toEqual(expect.arrayContaining(Object.keys(decoded.metadata)));
      }),
    );
    const { metadata, unknown } = decodeMetadata({
      name: 'x',
      creationTimestamp: null,
      managedFields: [{}],
      odd: 1,
      ownerReferences: [{ apiVersion: 'v1', kind: 'K', name: 'n', uid: 'u', extra: 1 }],
    });
    expect(unknown).toEqual(['metadata.odd', 'metadata.ownerReferences[0].extra']);
    expect(metadata).toEqual({
      name: 'x',
      ownerReferences: [{ apiVersion: 'v1', kind: 'K', name: 'n', uid: 'u' }],
    });
  });
});

describe('what comes in queries', () => {
  test('any continue token, limit and resourceVersion is a page or a refusal', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    await store.write((transaction) =>
      transaction.put({ resource: 'configmaps', namespace: 'default', name: 'a' }, configMap('a')),
    );
    const token = fc.oneof(
      fc.string(),
      fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value)).toString('base64url')),
    );
    fc.assert(
      fc.property(token, fc.string(), fc.string(), (continueToken, limit, resourceVersion) => {
        const query = new URLSearchParams({ continue: continueToken, limit, resourceVersion });
        const selection = parseSelection(resource('configmaps'), undefined, new URLSearchParams());
        const page = refusalOr(() => listObjects(store, selection, query), 504);
        expect(page?.items.length ?? 0).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('any DeleteOptions are taken or refused', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (body) => {
        const options = refusalOr(() => decodeDeleteOptions(body, new URLSearchParams()));
        expect(['Background', 'Foreground', 'Orphan', undefined]).toContain(options?.propagation);
      }),
    );
  });
});
