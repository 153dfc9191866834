/** Defaults and nulls, as a Kubernetes API server treats them under a structural schema. */
import type { TSchema } from 'typebox';
import { isObject, setOwn } from './json.ts';
import type { JsonObject } from './json.ts';

/** The parts of a JSON Schema that say what is inside. */
export interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly default?: unknown;
  readonly nullable?: boolean;
  readonly description?: string;
  readonly [keyword: string]: unknown;
}

/** A typebox schema is its JSON Schema: the same object, seen without its type parameters. */
export function schemaNode(schema: TSchema): SchemaNode {
  return schema as SchemaNode;
}

export function propertyOf(node: SchemaNode, name: string): SchemaNode | undefined {
  if (node.properties !== undefined && Object.hasOwn(node.properties, name)) return node.properties[name];
  return node.patternProperties === undefined ? undefined : Object.values(node.patternProperties)[0];
}

/**
 * A copy with the schema's defaults filled in objects that are there, and with nulls dropped where the field
 * is not nullable (so that its default, if any, takes their place). What is not in the schema stays.
 */
export function defaulted(schema: TSchema, value: unknown): unknown {
  return walk(schemaNode(schema), value, { fill: true, nulls: 'nullable' }, '');
}

/** A copy without the nulls of known fields: Go writes null for an empty list or map. */
export function withoutNulls(schema: TSchema, value: unknown): unknown {
  return walk(schemaNode(schema), value, { fill: false, nulls: 'none' }, '');
}

/** A copy without the fields that the schema does not know, each of which is told to `onUnknown`. */
export function withoutUnknown(schema: TSchema, value: unknown, onUnknown?: OnUnknown): unknown {
  return walk(
    schemaNode(schema),
    value,
    { fill: false, nulls: 'all', onUnknown: onUnknown ?? (() => {}) },
    '',
  );
}

/** A copy with neither nulls nor unknown fields: what a schema is checked against. */
export function pruned(schema: TSchema, value: unknown, onUnknown: OnUnknown): unknown {
  return walk(schemaNode(schema), value, { fill: false, nulls: 'none', onUnknown }, '');
}

/** Called with the path of the object, the name of the field in it, and the object's schema. */
export type OnUnknown = (path: string, name: string, node: SchemaNode) => void;

interface WalkOptions {
  readonly fill: boolean;
  /** Which nulls of known fields stay. */
  readonly nulls: 'all' | 'nullable' | 'none';
  /** Present: unknown fields are dropped. */
  readonly onUnknown?: OnUnknown;
}

/** Goes only as deep as the schema does, so that depth of the input is no danger to the stack. */
function walk(node: SchemaNode, value: unknown, options: WalkOptions, path: string): unknown {
  if (Array.isArray(value)) {
    const { items } = node;
    return items === undefined
      ? value
      : value.map((item, index) => walk(items, item, options, `${path}[${index}]`));
  }
  if (!isObject(value) || (node.properties === undefined && node.patternProperties === undefined))
    return value;
  const copy: JsonObject = {};
  for (const [name, inner] of Object.entries(value)) {
    const field = propertyOf(node, name);
    if (field === undefined) {
      if (options.onUnknown === undefined || node['additionalProperties'] !== false)
        setOwn(copy, name, inner);
      else options.onUnknown(path, name, node);
    } else if (inner !== null || keepsNull(field, options)) {
      const isLeaf = typeof inner !== 'object' || inner === null;
      setOwn(copy, name, isLeaf ? inner : walk(field, inner, options, joinPath(path, name)));
    }
  }
  if (options.fill) {
    for (const [name, field] of Object.entries(node.properties ?? {})) {
      if (field.default !== undefined && !Object.hasOwn(copy, name)) {
        setOwn(copy, name, structuredClone(field.default));
      }
    }
  }
  return copy;
}

function keepsNull(field: SchemaNode, { nulls }: WalkOptions): boolean {
  return nulls === 'all' || (nulls === 'nullable' && field.nullable === true);
}

/** `spec` and `name` as `spec.name`; keys with dots or slashes, as labels have them, in brackets. */
export function joinPath(path: string, name: string): string {
  if (!/^[A-Za-z0-9_-]+$/.test(name)) return `${path}[${name}]`;
  return path === '' ? name : `${path}.${name}`;
}
