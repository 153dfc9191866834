/**
 * OpenAPI v3 as `kubectl explain` and `kubectl apply` read it: an index, and one document for each group and
 * version. `/openapi/v2` is not served: clients ask for it in protobuf, and take a 404 but not JSON.
 */
import { createHash } from 'node:crypto';
import { META_PREFIX, META_SCHEMAS } from './core-schemas.ts';
import { isJsonObject } from './json.ts';
import type { JsonObject } from './json.ts';
import type { KindInfo } from './kind-info.ts';
import { pathsOf, refTo } from './openapi-paths.ts';

export interface OpenApiDocuments {
  /** The body of `/openapi/v3`, as JSON text. */
  readonly index: string;
  /** JSON text by what follows `/openapi/v3/` in the path: `api/v1`, `apis/fission.io/v1`. */
  readonly documents: ReadonlyMap<string, string>;
}

/** The name of a kind's schema, as Kubernetes forms it: `io.k8s.api.core.v1.Secret`, `io.fission.v1.Function`. */
export function schemaName(kind: Pick<KindInfo, 'group' | 'version' | 'kind'>): string {
  const isBuiltIn = kind.group === '' || kind.group.endsWith('.k8s.io');
  const prefix = isBuiltIn
    ? `io.k8s.api.${kind.group.split('.')[0] || 'core'}`
    : kind.group.split('.').toReversed().join('.');
  return `${prefix}.${kind.version}.${kind.kind}`;
}

const API_VERSION = { type: 'string', description: 'The version of the schema that this object follows.' };
const KIND = { type: 'string', description: 'The kind of object that this is. Cannot be changed.' };

function kindSchema(kind: KindInfo): JsonObject {
  const own = isJsonObject(kind.schema.properties) ? kind.schema.properties : {};
  const metadata = {
    description: 'Name, labels and history of the object.',
    allOf: [refTo(`${META_PREFIX}.ObjectMeta`)],
  };
  return {
    ...kind.schema,
    type: 'object',
    properties: { ...own, apiVersion: API_VERSION, kind: KIND, metadata },
    'x-kubernetes-group-version-kind': [{ group: kind.group, version: kind.version, kind: kind.kind }],
  };
}

function listSchema(kind: KindInfo): JsonObject {
  return {
    type: 'object',
    description: `A list of objects of kind ${kind.kind}.`,
    required: ['items'],
    properties: {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { description: 'The state that the list shows.', allOf: [refTo(`${META_PREFIX}.ListMeta`)] },
      items: { type: 'array', description: 'The objects.', items: refTo(schemaName(kind)) },
    },
    'x-kubernetes-group-version-kind': [{ group: kind.group, version: kind.version, kind: kind.listKind }],
  };
}

function groupDocument(kinds: readonly KindInfo[]): JsonObject {
  const schemas = kinds.flatMap((kind): [string, JsonObject][] => [
    [schemaName(kind), kindSchema(kind)],
    ...(kind.listKind === '' ? [] : [[`${schemaName(kind)}List`, listSchema(kind)] as [string, JsonObject]]),
  ]);
  return {
    openapi: '3.0.0',
    info: { title: 'Fissium', version: 'v1' },
    paths: Object.assign({}, ...kinds.map((kind) => pathsOf(kind, schemaName(kind)))) as JsonObject,
    components: { schemas: { ...META_SCHEMAS, ...Object.fromEntries(schemas) } },
  };
}

/** Builds all documents; some milliseconds, so keep the result. */
export function buildOpenApi(kinds: readonly KindInfo[]): OpenApiDocuments {
  const byPath = Map.groupBy(kinds, ({ group, version }) =>
    group === '' ? `api/${version}` : `apis/${group}/${version}`,
  );
  const documents = new Map<string, string>();
  const paths: Record<string, JsonObject> = {};
  for (const [path, members] of byPath) {
    const document = JSON.stringify(groupDocument(members));
    const hash = createHash('sha256').update(document).digest('hex').slice(0, 32).toUpperCase();
    documents.set(path, document);
    // Clients keep a document as long as its hash stays the same.
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
  }
  return { index: JSON.stringify({ paths }), documents };
}
