import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import Type from 'typebox';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { resourcesPage } from '../../scripts/resources-page.ts';
import { crdOf, toCrdSchema } from './crd.ts';
import { KINDS, LATER_KINDS } from './index.ts';
import { isObject } from './json.ts';

const FOLDER = join(import.meta.dirname, '..', '..', 'crds');

/** Every schema within a schema, with its path. */
function* schemasIn(schema: unknown, path: string): Generator<[string, Record<string, unknown>]> {
  if (!isObject(schema)) return;
  yield [path, schema];
  if (isObject(schema['properties'])) {
    for (const [name, inner] of Object.entries(schema['properties']))
      yield* schemasIn(inner, `${path}.${name}`);
  }
  yield* schemasIn(schema['items'], `${path}[]`);
  yield* schemasIn(schema['additionalProperties'], `${path}.*`);
}

/** Keys of a list-map that its entries need not have, which an API server refuses. */
function missingKeys(schema: Record<string, unknown>): unknown[] {
  const keys = schema['x-kubernetes-list-map-keys'];
  const required = isObject(schema['items']) ? schema['items']['required'] : undefined;
  return Array.isArray(keys) ? keys.filter((key) => !Array.isArray(required) || !required.includes(key)) : [];
}

describe.each(KINDS.map((kind) => [kind.kind, kind] as const))('the CRD of %s', (_, kind) => {
  const crd = crdOf(kind);
  const root = parse(JSON.stringify(crd)).spec.versions[0].schema.openAPIV3Schema as unknown;

  // apiextensions.k8s.io/v1, "structural schemas"
  it('is structural', () => {
    for (const [path, schema] of schemasIn(root, '')) {
      const preserves = schema['x-kubernetes-preserve-unknown-fields'] === true;
      const intOrString = schema['x-kubernetes-int-or-string'] === true;
      expect([path, typeof schema['type'] === 'string' || preserves || intOrString]).toEqual([path, true]);
      expect([path, intOrString && (preserves || 'type' in schema)]).toEqual([path, false]);
      for (const refused of ['$ref', 'anyOf', 'allOf', 'oneOf', 'not', 'const', 'patternProperties', '$id']) {
        expect([path, refused in schema]).toEqual([path, false]);
      }
      expect([path, schema['additionalProperties'] === false]).toEqual([path, false]);
      expect([path, 'properties' in schema && 'additionalProperties' in schema]).toEqual([path, false]);
      expect([path, missingKeys(schema)]).toEqual([path, []]);
      // Go's regular expressions have no lookaround.
      expect([path, JSON.stringify(schema['pattern'] ?? '').includes('(?')]).toEqual([path, false]);
    }
  });

  it('says nothing of metadata and has a status subresource', () => {
    expect(root).toMatchObject({ required: ['spec'], properties: { metadata: { type: 'object' } } });
    expect(crd).toMatchObject({
      spec: { scope: 'Namespaced', versions: [{ subresources: { status: {} } }] },
    });
  });

  it('is what stands in crds/', async () => {
    expect(parse(await readFile(join(FOLDER, `fission.io_${kind.plural}.yaml`), 'utf8'))).toEqual(crd);
  });
});

describe('crds/', () => {
  it('holds one file a kind, 150 KB together', async () => {
    const names = await readdir(FOLDER);
    const plurals = [...KINDS, ...LATER_KINDS].map(({ plural }) => plural);
    expect(names.toSorted()).toEqual(plurals.map((plural) => `fission.io_${plural}.yaml`).toSorted());
    const texts = await Promise.all(names.map((name) => readFile(join(FOLDER, name), 'utf8')));
    expect(texts.reduce((sum, text) => sum + text.length, 0)).toBeLessThan(150_000);
  });
});

describe('docs/resources.md', () => {
  it('is what the schemas say', async () => {
    const page = await readFile(join(FOLDER, '..', 'docs', 'resources.md'), 'utf8');
    expect(page).toBe(resourcesPage());
  });

  it('says of resources that are set aside, but not of all limits, that only a cluster serves them', () => {
    const rows = resourcesPage().split('## Function\n')[1]?.split('\n') ?? [];
    const servedOf = (field: string): string | undefined =>
      rows
        .find((row) => row.startsWith(`| \`${field}\` `))
        ?.split('|')[4]
        ?.trim();
    // Of `requests`, one process serves no entry but a Wasm function's cpu.
    expect(['resources.limits', 'resources.requests'].map(servedOf)).toEqual(['', 'on a cluster']);
  });
});

describe('toCrdSchema', () => {
  it('keeps what both sides say alike, with descriptions and defaults', () => {
    const schema = Type.Object(
      {
        a: Type.Optional(Type.Integer({ minimum: 1, maximum: 3, default: 2, description: 'A.' })),
        b: Type.Record(Type.String(), Type.Boolean()),
      },
      { additionalProperties: false },
    );
    expect(toCrdSchema(schema)).toEqual({
      type: 'object',
      required: ['b'],
      properties: {
        a: { type: 'integer', minimum: 1, maximum: 3, default: 2, description: 'A.' },
        b: { type: 'object', additionalProperties: { type: 'boolean' } },
      },
    });
  });

  it('turns literals into an enum, and other unions into a field that takes anything', () => {
    expect(toCrdSchema(Type.Union([Type.Literal('a'), Type.Literal('b')]))).toEqual({
      type: 'string',
      enum: ['a', 'b'],
    });
    expect(toCrdSchema(Type.Literal('a'))).toEqual({ type: 'string', enum: ['a'] });
    expect(toCrdSchema(Type.Union([Type.String(), Type.Number()], { description: 'X.' }))).toEqual({
      description: 'X.',
      'x-kubernetes-preserve-unknown-fields': true,
    });
  });
});
