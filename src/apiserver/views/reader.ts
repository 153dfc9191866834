/** Reads of the objects of a view, in the same way as those of the store. */
import type { KubeObject, ObjectKey } from '../object.ts';
import type { Change } from '../store/revision.ts';
import { Revision } from '../store/revision.ts';
import type { Store } from '../store/store.ts';
import type { PlatformFacts, View } from './view.ts';

/** What lists and watches need of the store. */
export type Reader = Pick<Store, 'rv' | 'compactedRv' | 'get' | 'list' | 'count' | 'changes'>;

export class ViewReader implements Reader {
  readonly #store: Store;
  readonly #view: View;
  readonly #id: string;
  readonly #facts: () => PlatformFacts;

  /** @param id the view's own resource, e.g. `pods` */
  constructor(store: Store, id: string, view: View, facts: () => PlatformFacts) {
    this.#store = store;
    this.#id = id;
    this.#view = view;
    this.#facts = facts;
  }

  get rv(): number {
    return this.#store.rv;
  }

  get compactedRv(): number {
    return this.#store.compactedRv;
  }

  get(key: ObjectKey): Revision | undefined {
    const fixed = this.#fixed().find((revision) => isAt(revision.key, key));
    if (fixed !== undefined) return fixed;
    const { from } = this.#view;
    if (from === undefined) return undefined;
    const stored = this.#store.get({ ...key, resource: from.resource, name: from.storedName(key.name) });
    const made = stored && this.#made(stored);
    return made !== undefined && isAt(made.key, key) ? made : undefined;
  }

  list({ namespace, after, limit, atRv }: Parameters<Reader['list']>[0]): Revision[] {
    const { from } = this.#view;
    const stored = from === undefined ? [] : this.#store.list({ resource: from.resource, namespace, atRv });
    const fixed = this.#fixed().filter(({ key }) => namespace === undefined || key.namespace === namespace);
    // Sorted by their own names, which need not have the order of the stored ones.
    const all = [...fixed, ...stored.map((revision) => this.#made(revision))].toSorted(byKey);
    const rest = after === undefined ? all : all.filter((revision) => compare(revision.key, after) > 0);
    return limit === undefined ? rest : rest.slice(0, limit);
  }

  count(_resource: string, namespace?: string): number {
    return this.list({ resource: this.#id, namespace }).length;
  }

  /** One for each change of a stored object; what is fixed does not change. */
  changes(_resource: string, sinceRv: number, limit: number): Change[] {
    const { from } = this.#view;
    if (from === undefined) return [];
    return this.#store.changes(from.resource, sinceRv, limit).map(({ type, current, previous }) => ({
      type,
      current: this.#made(current),
      previous: previous === null ? null : this.#made(previous),
    }));
  }

  #made(stored: Revision): Revision {
    const { from } = this.#view;
    if (from === undefined) return stored;
    const object = from.make(stored.object, (resource, namespace, name) => {
      return this.#store.get({ resource, namespace, name })?.object;
    });
    return this.#revision(stored.rv, object);
  }

  #fixed(): Revision[] {
    // Not stored, so of no resourceVersion of its own; 1 is before every change.
    return (this.#view.fixed?.(this.#facts()) ?? []).map((object) => this.#revision(1, object));
  }

  #revision(rv: number, object: KubeObject): Revision {
    const stamped = { ...object, metadata: { ...object.metadata, resourceVersion: String(rv) } };
    const { name, namespace = '' } = object.metadata;
    return new Revision(rv, { resource: this.#id, namespace, name }, JSON.stringify(stamped), stamped);
  }
}

type Place = Pick<ObjectKey, 'namespace' | 'name'>;

function isAt(key: Place, wanted: Place): boolean {
  return key.namespace === wanted.namespace && key.name === wanted.name;
}

function byKey(a: Revision, b: Revision): number {
  return compare(a.key, b.key);
}

function compare(a: Place, b: Place): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
