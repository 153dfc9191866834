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

/** Where reconcilers say what became of an object. */
export interface Statuses {
  write<S extends object>(
    type: ResourceType,
    object: WithStatus<S>,
    change: (status: S | undefined) => S,
  ): Promise<StatusChange<S>>;
  /** The object with the status that was written last, where the watch is behind. */
  latest<S extends object, T extends WithStatus<S>>(object: T): T;
}

const ATTEMPTS = 6;
/**
 * Of how many objects the last write is remembered: as long as the watch may be behind. Whatever was written earlier
 * costs a conflict and a read where it was not there yet.
 */
const REMEMBERED = 500;

/** Writes statuses, and remembers what it wrote: the watch brings it only a moment later. */
export class StatusWriter implements Statuses {
  readonly #client: KubeClient;
  readonly #served: () => Promise<void>;
  /** By uid. */
  readonly #written = new Map<string, { resourceVersion: string; status: object }>();

  /** @param served resolves when what was changed in the tables until then is served: a status must not say more */
  constructor(client: KubeClient, served: () => Promise<void> = () => Promise.resolve()) {
    this.#client = client;
    this.#served = served;
  }

  /**
   * Writes a status if `change` makes another one of it. The write is refused by the server when the object
   * changed since it was read; then it is read anew and `change` is asked again. An object that is gone, or was
   * replaced by another of its name, is left alone.
   */
  async write<S extends object>(
    type: ResourceType,
    object: WithStatus<S>,
    change: (status: S | undefined) => S,
  ): Promise<StatusChange<S>> {
    const { namespace, name, uid } = object.metadata;
    let current = this.#newest(object);
    for (let attempt = 1; ; attempt++) {
      const before = current.status;
      const after = change(before);
      if (isDeepStrictEqual(before ?? {}, after)) return { changed: false, before, after };
      const { resourceVersion } = current.metadata;
      await this.#served();
      try {
        const written = await this.#client.patchStatus<WithStatus<S>>(type, namespace, name, {
          metadata: { resourceVersion, uid },
          status: differences(before ?? {}, after),
        });
        this.#remember(written);
        return { changed: true, before, after };
      } catch (error) {
        if (isNotFound(error)) return { changed: false, before, after: undefined };
        if (!isConflict(error) || attempt >= ATTEMPTS) throw error;
      }
      try {
        current = await this.#client.get<WithStatus<S>>(type, namespace, name);
      } catch (error) {
        if (isNotFound(error)) return { changed: false, before, after: undefined };
        throw error;
      }
      if (current.metadata.uid !== uid) return { changed: false, before, after: undefined };
    }
  }

  latest<S extends object, T extends WithStatus<S>>(object: T): T {
    return { ...object, status: this.#newest<S>(object).status };
  }

  /** The object with the status that we wrote last, if that is newer than what the watch brought. */
  #newest<S extends object>(object: WithStatus<S>): WithStatus<S> {
    const { uid = '', resourceVersion } = object.metadata;
    const written = this.#written.get(uid);
    if (written === undefined) return object;
    if (!isNewer(written.resourceVersion, resourceVersion)) {
      this.#written.delete(uid);
      return object;
    }
    const metadata = { ...object.metadata, resourceVersion: written.resourceVersion };
    return { ...object, metadata, status: written.status as S };
  }

  #remember(written: WithStatus<object>): void {
    const { uid, resourceVersion } = written.metadata;
    if (uid === undefined || resourceVersion === undefined || written.status === undefined) return;
    this.#written.delete(uid);
    this.#written.set(uid, { resourceVersion, status: written.status });
    if (this.#written.size <= REMEMBERED) return;
    const oldest = this.#written.keys().next();
    if (oldest.done !== true) this.#written.delete(oldest.value);
  }
}

/** Versions are compared as numbers, as Kubernetes 1.35 allows; where they are none, nothing is known to be newer. */
export function isNewer(version: string | undefined, than: string | undefined): boolean {
  const isNumber = /^\d+$/;
  if (version === undefined || than === undefined || !isNumber.test(version) || !isNumber.test(than))
    return false;
  return BigInt(version) > BigInt(than);
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
