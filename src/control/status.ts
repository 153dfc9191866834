import { isDeepStrictEqual } from 'node:util';

import type { Condition } from '../api/index.ts';
import {
  isConflict,
  isNotFound,
  type KubeClient,
  type KubeObject,
  type ResourceType,
} from '../kube/index.ts';

export interface WithStatus<S> extends KubeObject {
  status?: S;
}

export interface StatusChange<S> {
  /** False where the status was already as it should be, or the object is gone. */
  readonly changed: boolean;
  readonly before: S | undefined;
  readonly after: S | undefined;
}

const ATTEMPTS = 6;

/**
 * Writes a status if `change` makes another one of it. The write is refused by the server when the object
 * changed since it was read; then it is read anew and `change` is asked again. An object that is gone, or was
 * replaced by another of its name, is left alone.
 */
export async function writeStatus<S extends object>(
  client: KubeClient,
  type: ResourceType,
  object: WithStatus<S>,
  change: (status: S | undefined) => S,
): Promise<StatusChange<S>> {
  const { namespace, name, uid } = object.metadata;
  let current = object;
  for (let attempt = 1; ; attempt++) {
    const before = current.status;
    const after = change(before);
    if (isDeepStrictEqual(before ?? {}, after)) return { changed: false, before, after };
    const { resourceVersion } = current.metadata;
    try {
      await client.patchStatus(type, namespace, name, {
        metadata: { resourceVersion, uid },
        status: differences(before ?? {}, after),
      });
      return { changed: true, before, after };
    } catch (error) {
      if (isNotFound(error)) return { changed: false, before, after: undefined };
      if (!isConflict(error) || attempt >= ATTEMPTS) throw error;
    }
    try {
      current = await client.get<WithStatus<S>>(type, namespace, name);
    } catch (error) {
      if (isNotFound(error)) return { changed: false, before, after: undefined };
      throw error;
    }
    if (current.metadata.uid !== uid) return { changed: false, before, after: undefined };
  }
}

/** The merge patch from one to the other, at the first level; lists and objects are sent whole. */
function differences(before: object, after: object): Record<string, unknown> {
  const from = before as Record<string, unknown>;
  const to = after as Record<string, unknown>;
  const patch: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    if (!isDeepStrictEqual(from[key], to[key])) patch[key] = to[key] ?? null;
  }
  return patch;
}

export function findCondition(
  status: { readonly conditions?: readonly Condition[] } | undefined,
  type: string,
): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** RFC 3339 to the second, as Kubernetes writes times. */
export function timestamp(now: Date): string {
  return now.toISOString().replace(/\.\d+Z$/, 'Z');
}
