import {
  ACCESS_REVIEW_SCHEMA,
  CONFIG_MAP_SCHEMA,
  EVENT_SCHEMA,
  NAMESPACE_SCHEMA,
  SECRET_SCHEMA,
} from './core-schemas.ts';
import type { KindInfo } from './kind-info.ts';
import { CONFIG_MAP_COLUMNS, EVENT_COLUMNS, NAMESPACE_COLUMNS, SECRET_COLUMNS } from './core-columns.ts';

/** What can be done with every stored kind, in the words of discovery. */
export const ALL_VERBS: readonly string[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
];

const EVENT_FIELDS = [
  ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
    (field) => `involvedObject.${field}`,
  ),
  'reason',
  'reportingComponent',
  'source.component',
  'type',
];

const CORE = {
  group: '',
  version: 'v1',
  categories: [],
  hasStatus: false,
  verbs: ALL_VERBS,
  namespaced: true,
};

/** The core kinds that the embedded API stores. */
export const CORE_KINDS: readonly KindInfo[] = [
  {
    ...CORE,
    kind: 'Namespace',
    plural: 'namespaces',
    singular: 'namespace',
    shortNames: ['ns'],
    listKind: 'NamespaceList',
    namespaced: false,
    // Namespaces are never deleted many at a time.
    verbs: ALL_VERBS.filter((verb) => verb !== 'deletecollection'),
    hasStatus: true,
    columns: NAMESPACE_COLUMNS,
    schema: NAMESPACE_SCHEMA,
    selectableFields: ['status.phase'],
  },
  {
    ...CORE,
    kind: 'ConfigMap',
    plural: 'configmaps',
    singular: 'configmap',
    shortNames: ['cm'],
    listKind: 'ConfigMapList',
    columns: CONFIG_MAP_COLUMNS,
    schema: CONFIG_MAP_SCHEMA,
  },
  {
    ...CORE,
    kind: 'Secret',
    plural: 'secrets',
    singular: 'secret',
    shortNames: [],
    listKind: 'SecretList',
    columns: SECRET_COLUMNS,
    schema: SECRET_SCHEMA,
    selectableFields: ['type'],
  },
  {
    ...CORE,
    kind: 'Event',
    plural: 'events',
    singular: 'event',
    shortNames: ['ev'],
    listKind: 'EventList',
    columns: EVENT_COLUMNS,
    schema: EVENT_SCHEMA,
    selectableFields: EVENT_FIELDS,
  },
];

/** Not stored: `kubectl auth can-i` creates one and reads the answer from it. */
export const ACCESS_REVIEW_KIND: KindInfo = {
  group: 'authorization.k8s.io',
  version: 'v1',
  kind: 'SelfSubjectAccessReview',
  plural: 'selfsubjectaccessreviews',
  singular: 'selfsubjectaccessreview',
  shortNames: [],
  namespaced: false,
  listKind: '',
  verbs: ['create'],
  categories: [],
  hasStatus: false,
  columns: [],
  schema: ACCESS_REVIEW_SCHEMA,
};
