import { isDeepStrictEqual } from 'node:util';

import type { KubeObject, ResourceType } from '../../kube/index.ts';
import type { StatusChange, Statuses, WithStatus } from '../status.ts';

/** Statuses that are kept in memory and written nowhere: what this host would say of its objects. */
export class RecordedStatuses implements Statuses {
  /** By uid. */
  readonly #statuses = new Map<string, object>();

  /** Undefined where nothing was said yet. */
  of<S extends object>(object: WithStatus<S>): S | undefined {
    return this.#statuses.get(object.metadata.uid ?? '') as S | undefined;
  }

  write<S extends object>(
    _type: ResourceType,
    object: WithStatus<S>,
    change: (status: S | undefined) => S,
  ): Promise<StatusChange<S>> {
    const before = this.of(object);
    const after = change(before);
    this.#statuses.set(object.metadata.uid ?? '', after);
    return Promise.resolve({ changed: !isDeepStrictEqual(before ?? {}, after), before, after });
  }

  latest<S extends object, T extends WithStatus<S>>(object: T): T {
    return object;
  }

  forget({ metadata }: KubeObject): void {
    this.#statuses.delete(metadata.uid ?? '');
  }
}
