import { describe, expect, it } from 'vitest';
import { ACCESS_REVIEW_KIND, CORE_KINDS } from './core-kinds.ts';
import { isJsonObject } from './json.ts';
import type { JsonObject } from './json.ts';
import { buildOpenApi } from './openapi.ts';
import { EXAMPLE_KIND } from './testing/example-kind.ts';

const built = buildOpenApi([...CORE_KINDS, EXAMPLE_KIND, ACCESS_REVIEW_KIND]);
const documentOf = (path: string): JsonObject =>
  JSON.parse(built.documents.get(path) ?? 'null') as JsonObject;

function* valuesOf(value: unknown, key: string): Generator<unknown> {
  if (Array.isArray(value)) for (const item of value) yield* valuesOf(item, key);
  if (!isJsonObject(value)) return;
  for (const [name, item] of Object.entries(value)) {
    if (name === key) yield item;
    yield* valuesOf(item, key);
  }
}

describe('OpenAPI v3', () => {
  it('indexes a document for each group and version, by its hash', () => {
    const { paths } = JSON.parse(built.index) as { paths: Record<string, { serverRelativeURL: string }> };
    expect(Object.keys(paths)).toEqual([...built.documents.keys()]);
    expect(paths['apis/example.io/v1']?.serverRelativeURL).toMatch(
      /^\/openapi\/v3\/apis\/example\.io\/v1\?hash=[0-9A-F]{32}$/,
    );
  });

  it('refers only to schemas that the same document has', () => {
    for (const path of built.documents.keys()) {
      const document = documentOf(path);
      const schemas = (document.components as { schemas: JsonObject }).schemas;
      for (const reference of valuesOf(document, '$ref')) {
        expect(Object.keys(schemas)).toContain(String(reference).replace('#/components/schemas/', ''));
      }
    }
  });

  it('names fieldValidation among the parameters of post, put and patch', () => {
    const { paths } = documentOf('apis/example.io/v1') as {
      paths: Record<string, Record<string, JsonObject>>;
    };
    const names = (path: string, method: string): unknown[] =>
      ((paths[path]?.[method]?.parameters ?? []) as { name: string }[]).map(({ name }) => name);
    expect(names('/apis/example.io/v1/namespaces/{namespace}/widgets', 'post')).toContain('fieldValidation');
    expect(names('/apis/example.io/v1/namespaces/{namespace}/widgets/{name}', 'patch')).toContain(
      'fieldValidation',
    );
    expect(names('/apis/example.io/v1/namespaces/{namespace}/widgets/{name}/status', 'put')).toContain(
      'dryRun',
    );
    expect(paths['/apis/example.io/v1/widgets']?.get?.['x-kubernetes-action']).toBe('list');
  });

  it('keeps to the verbs of each kind', () => {
    const { paths } = documentOf('apis/authorization.k8s.io/v1') as { paths: Record<string, JsonObject> };
    expect(Object.keys(paths)).toEqual(['/apis/authorization.k8s.io/v1/selfsubjectaccessreviews']);
    expect(Object.keys(Object.values(paths)[0] ?? {})).toEqual(['post']);
  });

  it('describes every property of the core kinds', () => {
    for (const { schema } of CORE_KINDS) {
      for (const properties of valuesOf(schema, 'properties')) {
        for (const property of Object.values(properties as Record<string, JsonObject>)) {
          expect(property.description).toMatch(/\S/);
        }
      }
    }
  });
});
