/**
 * From our schemas to CustomResourceDefinitions: structural schemas (apiextensions.k8s.io/v1), in which the
 * API server itself refuses or drops what `additionalProperties: false` says here.
 */
import type { TSchema } from 'typebox';
import { schemaNode } from './defaults.ts';
import type { SchemaNode } from './defaults.ts';
import { isObject } from './json.ts';
import type { JsonObject } from './json.ts';
import { GROUP, VERSION } from './kind.ts';
import type { KindDefinition } from './kind.ts';

/** Keywords that mean the same on both sides. */
const KEPT = [
  'description',
  'type',
  'format',
  'nullable',
  'default',
  'enum',
  'pattern',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'required',
] as const;

const PRESERVE = 'x-kubernetes-preserve-unknown-fields';
const INT_OR_STRING = 'x-kubernetes-int-or-string';

/**
 * The OpenAPI v3 schema of a CRD (or of `/openapi/v3`) for one of our schemas, with its descriptions. A union
 * that is not int-or-string becomes a field that takes anything; what it really takes is for `validate`.
 */
export function toCrdSchema(schema: TSchema): JsonObject {
  return convert(schemaNode(schema));
}

/** RFC 4648, section 4, with the line breaks that Go lets through. */
const BASE64 = '^[A-Za-z0-9+/\\r\\n]*={0,2}[\\r\\n]*$';

function convert(node: SchemaNode): JsonObject {
  const out: JsonObject = {};
  // Not `format: byte`: CEL of Kubernetes 1.36 reads such a field by the alphabet of URLs, and refuses whatever has a
  // "+" or "/" in it as soon as a rule looks at the object.
  if (node['contentEncoding'] === 'base64') out['pattern'] = BASE64;
  for (const keyword of KEPT) {
    if (node[keyword] !== undefined) out[keyword] = node[keyword];
  }
  for (const [keyword, value] of Object.entries(node)) {
    if (keyword.startsWith('x-kubernetes-')) out[keyword] = value;
  }
  // What our own validation says in better words.
  if (isObject(node['crd'])) Object.assign(out, node['crd']);
  if (node['const'] !== undefined) Object.assign(out, { type: typeof node['const'], enum: [node['const']] });
  if (Array.isArray(node['anyOf']) && out[INT_OR_STRING] !== true) return untyped(node, out);
  if (out[INT_OR_STRING] === true) delete out['type'];
  if (node.items !== undefined) out['items'] = convert(node.items);
  if (node.properties !== undefined) out['properties'] = convertAll(node.properties);
  const [values] = Object.values(node.patternProperties ?? {});
  if (values !== undefined) out['additionalProperties'] = convert(values);
  return out;
}

function convertAll(properties: Readonly<Record<string, SchemaNode>>): JsonObject {
  return Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, convert(inner)]));
}

/** Literals of one type become an enum; any other union cannot be said structurally. */
function untyped(node: SchemaNode, out: JsonObject): JsonObject {
  const branches: unknown[] = Array.isArray(node['anyOf']) ? node['anyOf'] : [];
  const literals = branches.flatMap((branch) =>
    isObject(branch) && branch['const'] !== undefined ? [branch['const']] : [],
  );
  const types = new Set(literals.map((literal) => typeof literal));
  const [type] = types;
  if (literals.length === branches.length && types.size === 1) return { ...out, type, enum: literals };
  return { ...out, [PRESERVE]: true };
}

/** The CustomResourceDefinition of a kind. */
export function crdOf(kind: KindDefinition): JsonObject {
  const schema = toCrdSchema(kind.schema);
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: kind.kind,
        listKind: kind.listKind,
        plural: kind.plural,
        singular: kind.singular,
        ...(kind.shortNames.length === 0 ? {} : { shortNames: [...kind.shortNames] }),
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: kind.printerColumns.map((column) => ({ ...column })),
          schema: {
            openAPIV3Schema: {
              ...schema,
              required: ['spec'],
              properties: {
                ...properties,
                // The API server has its own schemas for these three and refuses others.
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
              },
            },
          },
        },
      ],
    },
  };
}
