/** Random values of a schema, most of them right and some of them not. */
import fc from 'fast-check';
import type { TSchema } from 'typebox';
import { schemaNode } from '../defaults.ts';
import type { SchemaNode } from '../defaults.ts';

const words = fc.constantFrom(
  '',
  'a',
  'hello',
  'x-1',
  '/a',
  '/a/{b}',
  '10s',
  '0s',
  '1h',
  '128Mi',
  '3.9',
  'aGVsbG8=',
  'sha256',
);
const hosts = fc.constantFrom('https://a.example', '*.a.example', 'default', '1');
const text = fc.oneof(
  { weight: 8, arbitrary: words },
  { weight: 2, arbitrary: hosts },
  fc.string({ maxLength: 12 }),
);
const untyped = fc.jsonValue({ maxDepth: 2 });

/** A value of the schema; now and then null, a value of another type, or an unknown field. */
export function arbitraryOf(schema: TSchema): fc.Arbitrary<unknown> {
  return build(schemaNode(schema), true);
}

function build(node: SchemaNode, required: boolean): fc.Arbitrary<unknown> {
  const right = rightOf(node);
  return required
    ? fc.oneof({ weight: 60, arbitrary: right }, untyped)
    : fc.oneof({ weight: 60, arbitrary: right }, fc.constant(null), untyped);
}

function rightOf(node: SchemaNode): fc.Arbitrary<unknown> {
  if (Array.isArray(node['enum'])) return fc.constantFrom(...node['enum']);
  if (Array.isArray(node['anyOf'])) return fc.oneof(fc.integer({ min: 0, max: 100 }), text);
  if (node['x-kubernetes-preserve-unknown-fields'] === true) {
    return node.type === 'object'
      ? fc.dictionary(fc.string({ maxLength: 4 }), untyped, { maxKeys: 2 })
      : untyped;
  }
  switch (node.type ?? '') {
    case 'object':
      return node.properties === undefined ? mapOf(node) : objectOf(node, node.properties);
    case 'array':
      return fc.array(build(node.items ?? {}, true), { maxLength: 3 });
    case 'integer':
      return fc.integer({ min: Number(node['minimum'] ?? -1), max: Number(node['maximum'] ?? 500) });
    case 'boolean':
      return fc.boolean();
    case 'string':
      if (node['format'] === 'date-time') return fc.constant('2026-01-02T03:04:05Z');
      return node['pattern'] === undefined ? text : fc.oneof(fc.constantFrom('a', 'hello'), text);
    default:
      return untyped;
  }
}

function mapOf(node: SchemaNode): fc.Arbitrary<unknown> {
  const [values] = Object.values(node.patternProperties ?? {});
  const keys = fc.constantFrom(
    'memory',
    'cpu',
    'hello',
    'fissium.io/wasm',
    'fissium.io/wasm-queue',
    '__proto__',
  );
  return fc.dictionary(keys, build(values ?? {}, true), { maxKeys: 3 });
}

function objectOf(node: SchemaNode, properties: Readonly<Record<string, SchemaNode>>): fc.Arbitrary<unknown> {
  const required = new Set(Array.isArray(node['required']) ? node['required'].map(String) : []);
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, inner]) => [name, build(inner, required.has(name))]),
  );
  const requiredKeys = Object.keys(properties).filter((name) => required.has(name));
  // Not all optional fields at once: most objects would contradict themselves then.
  return fc
    .tuple(
      fc.record(fields, { requiredKeys }),
      fc.array(fc.constantFrom(...Object.keys(fields)), { maxLength: 4 }),
    )
    .map(([object, kept]) =>
      Object.fromEntries(
        Object.entries(object).filter(([name]) => required.has(name) || kept.includes(name)),
      ),
    );
}
