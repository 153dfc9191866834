/** The `paths` of a group's OpenAPI v3 document: which call exists for which kind, with its query parameters. */
import { META_PREFIX } from './core-schemas.ts';
import type { JsonObject } from './json.ts';
import type { KindInfo } from './kind-info.ts';

interface QueryParameter {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean';
  readonly description: string;
}

const PRETTY: QueryParameter = {
  name: 'pretty',
  type: 'string',
  description: "If 'true', the answer is indented.",
};

/** kubectl asks the document of each kind for `dryRun` and `fieldValidation` and trusts the server where it finds them. */
const WRITE: readonly QueryParameter[] = [
  PRETTY,
  { name: 'dryRun', type: 'string', description: "'All' checks the call without storing anything." },
  { name: 'fieldManager', type: 'string', description: 'Who makes the change.' },
  {
    name: 'fieldValidation',
    type: 'string',
    description:
      "What happens to unknown fields: 'Ignore' drops them, 'Warn' also warns, 'Strict' refuses them.",
  },
];

const LIST: readonly QueryParameter[] = [
  PRETTY,
  { name: 'labelSelector', type: 'string', description: 'Limits the list by labels.' },
  { name: 'fieldSelector', type: 'string', description: 'Limits the list by fields.' },
  { name: 'limit', type: 'integer', description: 'How many items are answered at once.' },
  { name: 'continue', type: 'string', description: 'Where the part before ended.' },
  { name: 'resourceVersion', type: 'string', description: 'The state to read, or to watch from.' },
  { name: 'resourceVersionMatch', type: 'string', description: "'Exact' or 'NotOlderThan'." },
  { name: 'watch', type: 'boolean', description: 'Answers a stream of changes instead of a list.' },
  { name: 'allowWatchBookmarks', type: 'boolean', description: 'Whether a watch may send bookmarks.' },
  { name: 'sendInitialEvents', type: 'boolean', description: 'Whether a watch begins with what is there.' },
  { name: 'timeoutSeconds', type: 'integer', description: 'After how long a watch ends.' },
];

const DELETE: readonly QueryParameter[] = [
  PRETTY,
  { name: 'dryRun', type: 'string', description: "'All' checks the call without doing it." },
  { name: 'gracePeriodSeconds', type: 'integer', description: 'How long the object may take to end.' },
  { name: 'propagationPolicy', type: 'string', description: "'Orphan', 'Background' or 'Foreground'." },
];

const PATCH_TYPES = ['application/json-patch+json', 'application/merge-patch+json'];

interface Operation {
  readonly verb: string;
  readonly action: string;
  readonly description: string;
  readonly parameters: readonly QueryParameter[];
  readonly body?: 'object' | 'patch' | 'delete';
  readonly answer: 'object' | 'list' | 'status';
}

/** HTTP method → operation, on the collection and on one object. */
const COLLECTION: Readonly<Record<string, Operation>> = {
  get: {
    verb: 'list',
    action: 'list',
    description: 'Lists or watches objects',
    parameters: LIST,
    answer: 'list',
  },
  post: {
    verb: 'create',
    action: 'post',
    description: 'Creates an object',
    parameters: WRITE,
    body: 'object',
    answer: 'object',
  },
  delete: {
    verb: 'deletecollection',
    action: 'deletecollection',
    description: 'Deletes the selected objects',
    parameters: [...DELETE, ...LIST.filter(({ name }) => name.endsWith('Selector'))],
    body: 'delete',
    answer: 'status',
  },
};
const ITEM: Readonly<Record<string, Operation>> = {
  get: {
    verb: 'get',
    action: 'get',
    description: 'Reads one object',
    parameters: [PRETTY],
    answer: 'object',
  },
  put: {
    verb: 'update',
    action: 'put',
    description: 'Replaces one object',
    parameters: WRITE,
    body: 'object',
    answer: 'object',
  },
  patch: {
    verb: 'patch',
    action: 'patch',
    description: 'Changes one object',
    parameters: WRITE,
    body: 'patch',
    answer: 'object',
  },
  delete: {
    verb: 'delete',
    action: 'delete',
    description: 'Deletes one object',
    parameters: DELETE,
    body: 'delete',
    answer: 'status',
  },
};

export const refTo = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` });

function queryParameter({ name, type, description }: QueryParameter): JsonObject {
  return { name, in: 'query', description, schema: { type, uniqueItems: true } };
}

function requestBody(kind: KindInfo, body: 'object' | 'patch' | 'delete', schemaName: string): JsonObject {
  if (body === 'object')
    return { required: true, content: { 'application/json': { schema: refTo(schemaName) } } };
  if (body === 'delete') {
    return { content: { 'application/json': { schema: refTo(`${META_PREFIX}.DeleteOptions`) } } };
  }
  const types = kind.group === '' ? [...PATCH_TYPES, 'application/strategic-merge-patch+json'] : PATCH_TYPES;
  return {
    required: true,
    content: Object.fromEntries(
      types.map((type) => [
        type,
        { schema: { type: type.includes('json-patch') ? 'array' : 'object', items: {} } },
      ]),
    ),
  };
}

function operationDocument(kind: KindInfo, operation: Operation, schemaName: string): JsonObject {
  const answers = { object: schemaName, list: `${schemaName}List`, status: `${META_PREFIX}.Status` };
  return {
    description: `${operation.description} of kind ${kind.kind}.`,
    parameters: operation.parameters.map(queryParameter),
    ...(operation.body === undefined ? {} : { requestBody: requestBody(kind, operation.body, schemaName) }),
    responses: {
      200: {
        description: 'OK',
        content: { 'application/json': { schema: refTo(answers[operation.answer]) } },
      },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': { group: kind.group, version: kind.version, kind: kind.kind },
  };
}

function pathParameter(name: string, description: string): JsonObject {
  return { name, in: 'path', required: true, description, schema: { type: 'string', uniqueItems: true } };
}

/** All paths of one kind. */
export function pathsOf(kind: KindInfo, schemaName: string): JsonObject {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const base = kind.namespaced ? `${root}/namespaces/{namespace}/${kind.plural}` : `${root}/${kind.plural}`;
  const namespace = kind.namespaced ? [pathParameter('namespace', 'The namespace of the object.')] : [];
  const name = [pathParameter('name', `The name of the ${kind.kind}.`), ...namespace];
  const pathItem = (
    operations: Readonly<Record<string, Operation>>,
    parameters: readonly JsonObject[],
  ): JsonObject => ({
    ...Object.fromEntries(
      Object.entries(operations)
        .filter(([, operation]) => kind.verbs.includes(operation.verb))
        .map(([method, operation]) => [method, operationDocument(kind, operation, schemaName)]),
    ),
    ...(parameters.length > 0 ? { parameters } : {}),
  });
  const { get, put, patch } = ITEM as { get: Operation; put: Operation; patch: Operation };
  const { get: list } = COLLECTION as { get: Operation };
  return {
    [base]: pathItem(COLLECTION, namespace),
    ...(kind.verbs.includes('get') ? { [`${base}/{name}`]: pathItem(ITEM, name) } : {}),
    ...(kind.hasStatus ? { [`${base}/{name}/status`]: pathItem({ get, put, patch }, name) } : {}),
    ...(kind.namespaced && kind.verbs.includes('list')
      ? { [`${root}/${kind.plural}`]: pathItem({ get: list }, []) }
      : {}),
  };
}
