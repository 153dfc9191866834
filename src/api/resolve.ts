/** What resolving a kind has in common. */
import { FissiumError } from '../errors.ts';
import { interned } from './interned.ts';
import { isObject } from './json.ts';
import type { FieldError } from './kind.ts';
import type { Condition, FunctionReference, ObjectMeta } from './schema.ts';

const DEFAULT_NAMESPACE = 'default';
const ERRORS_SHOWN = 5;

/** The part of a resolved form that comes from the metadata and the status. */
export function resolvedBase(object: { metadata: ObjectMeta; status?: { conditions?: Condition[] } }): {
  namespace: string;
  name: string;
  uid: string;
  generation: number;
  creationTimestamp: string;
  conditions: Condition[];
} {
  const { metadata } = object;
  return {
    namespace: namespaceOf(metadata),
    // Absent where only `generateName` is given and nothing is stored yet.
    name: (metadata as Partial<ObjectMeta>).name ?? '',
    uid: metadata.uid ?? '',
    generation: metadata.generation ?? 0,
    creationTimestamp: metadata.creationTimestamp ?? '',
    conditions: interned(object.status?.conditions ?? []),
  };
}

export function namespaceOf(metadata: ObjectMeta): string {
  return metadata.namespace === undefined || metadata.namespace === ''
    ? DEFAULT_NAMESPACE
    : metadata.namespace;
}

/**
 * Throws RESOURCE_INVALID unless the errors are of unknown fields only, which a cluster may have kept for
 * another version of the platform.
 */
export function refuseInvalid(kind: string, object: unknown, errors: readonly FieldError[]): void {
  const wrong = errors.filter(({ unknown }) => unknown !== true);
  if (wrong.length === 0) return;
  const shown = wrong.slice(0, ERRORS_SHOWN).map(({ path, message }) => `${path} ${message}`);
  const more = wrong.length > shown.length ? `; and ${wrong.length - shown.length} more` : '';
  throw new FissiumError('RESOURCE_INVALID', `${kind} ${nameOf(object)}: ${shown.join('; ')}${more}.`);
}

function nameOf(object: unknown): string {
  const metadata = isObject(object) && isObject(object['metadata']) ? object['metadata'] : {};
  const { namespace, name } = metadata;
  if (typeof name !== 'string') return '(without a name)';
  return typeof namespace === 'string' ? `${namespace}/${name}` : name;
}

/** The functions that a trigger calls: one of weight 100, or those of `function-weights` with a weight over 0. */
export function functionsOf(reference: FunctionReference): { name: string; weight: number }[] {
  if (reference.type !== 'function-weights') return [{ name: reference.name ?? '', weight: 100 }];
  return Object.entries(reference.functionweights ?? {})
    .filter(([, weight]) => weight > 0)
    .map(([name, weight]) => ({ name, weight }));
}

/** The paths whose value is set: not absent, empty, zero, false, or an empty list or object. */
export function setFields(fields: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(fields)
    .filter(([, value]) => isSet(value, 0))
    .map(([path]) => path);
}

function isSet(value: unknown, depth: number): boolean {
  if (Array.isArray(value)) return value.length > 0;
  // Go writes structs with all their fields empty; ours are not deeper than this, Kubernetes' own may be.
  if (isObject(value)) return depth > 4 || Object.values(value).some((inner) => isSet(inner, depth + 1));
  return value !== undefined && value !== null && value !== '' && value !== 0 && value !== false;
}
