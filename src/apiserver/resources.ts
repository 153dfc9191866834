/** Every resource that this server has. A further kind is one more entry in its list. */
import { defaulted, GROUP, KINDS, toCrdSchema, VERSION, type KindDefinition } from '../api/index.ts';
import { ALL_VERBS, type KindInfo } from './formats/index.ts';
import { STORED_CORE_KINDS } from './kinds/core.ts';
import type { ResourceKind } from './kinds/resource-kind.ts';
import { REVIEW_KINDS } from './kinds/reviews.ts';
import { VIEW_KINDS } from './views/kinds.ts';

function customKind(definition: KindDefinition): ResourceKind {
  return {
    id: `${definition.plural}.${GROUP}`,
    group: GROUP,
    version: VERSION,
    kind: definition.kind,
    listKind: definition.listKind,
    plural: definition.plural,
    singular: definition.singular,
    shortNames: definition.shortNames,
    categories: [],
    namespaced: true,
    custom: true,
    hasStatus: true,
    nameRule: 'subdomain',
    verbs: ALL_VERBS,
    columns: definition.printerColumns,
    // As crds/ has it, so that `kubectl explain` says the same here and on a cluster.
    schema: { ...toCrdSchema(definition.schema) },
    validate: (object) => definition.validate(object),
    validateUpdate: (stored, object) =>
      definition
        .validateUpdate(stored, object)
        .map(({ path, message }) => ({ reason: 'FieldValueInvalid', message, field: path })),
    normalise: (object) => defaulted(definition, object),
  };
}

/** What is stored. */
export const RESOURCES: readonly ResourceKind[] = [...STORED_CORE_KINDS, ...KINDS.map(customKind)];

/** What discovery and OpenAPI tell of: the stored resources, those that are told from others, and those that are only asked. */
export const SERVED_KINDS: readonly KindInfo[] = [...RESOURCES, ...VIEW_KINDS, ...REVIEW_KINDS];

const byPath = new Map(
  [...RESOURCES, ...VIEW_KINDS].map((kind) => [`${kind.group}/${kind.version}/${kind.plural}`, kind]),
);
const byId = new Map(RESOURCES.map((kind) => [kind.id, kind]));
const byKind = new Map(RESOURCES.map((kind) => [`${kind.group}/${kind.version}/${kind.kind}`, kind]));

/** Of any resource that a path can name, stored or not. */
export function resourceByPath(group: string, version: string, plural: string): ResourceKind | undefined {
  return byPath.get(`${group}/${version}/${plural}`);
}

/** By the stored resource's id, e.g. `functions.fission.io`. */
export function resourceById(id: string): ResourceKind | undefined {
  return byId.get(id);
}

/** By what an object says of itself. */
export function resourceByKind(apiVersion: string, kind: string): ResourceKind | undefined {
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? '' : apiVersion.slice(0, slash);
  return byKind.get(`${group}/${apiVersion.slice(slash + 1)}/${kind}`);
}
