import type { KubeObject, ObjectKey } from '../object.ts';
import { Revision, type Change } from './revision.ts';
import { keyOf, type Statements } from './rows.ts';

/** What one write job sees: the latest state with its own writes, and nobody else's half-done ones. */
export class WriteTransaction {
  readonly changes: Change[] = [];
  readonly #statements: Statements;
  #rv: number;

  constructor(statements: Statements, rv: number) {
    this.#statements = statements;
    this.#rv = rv;
  }

  get rv(): number {
    return this.#rv;
  }

  get(key: ObjectKey): Revision | undefined {
    const row = this.#statements.get.get(key.resource, key.namespace, key.name);
    return row === undefined ? undefined : new Revision(Number(row['rv']), key, String(row['object']));
  }

  /** Of one namespace, sorted by name. */
  list(resource: string, namespace: string, limit: number): Revision[] {
    return this.#statements.listNamespace
      .all(resource, namespace, '', limit)
      .map((row) => new Revision(Number(row['rv']), keyOf(row), String(row['object'])));
  }

  /** Creates or replaces the object and gives it the next resourceVersion. */
  put(key: ObjectKey, object: KubeObject): Revision {
    const previous = this.get(key) ?? null;
    const revision = this.#insert(key, object, previous, false);
    this.changes.push({ type: previous === null ? 'ADDED' : 'MODIFIED', current: revision, previous });
    const before = previous?.object.metadata.ownerReferences ?? [];
    const owners = object.metadata.ownerReferences ?? [];
    if (before.length > 0) this.#statements.dropOwners.run(key.resource, key.namespace, key.name);
    for (const { uid } of owners) this.#statements.addOwner.run(uid, key.resource, key.namespace, key.name);
    return revision;
  }

  /** Removes the object and returns its last state with the deletion's resourceVersion; undefined if there is none. */
  remove(key: ObjectKey): Revision | undefined {
    const previous = this.get(key);
    if (previous === undefined) return undefined;
    const revision = this.#insert(key, previous.object, previous, true);
    this.changes.push({ type: 'DELETED', current: revision, previous });
    this.#statements.dropOwners.run(key.resource, key.namespace, key.name);
    return revision;
  }

  /** The objects that name this uid in their ownerReferences. */
  dependants(ownerUid: string): ObjectKey[] {
    return this.#statements.dependants.all(ownerUid).map(keyOf);
  }

  #insert(key: ObjectKey, object: KubeObject, previous: Revision | null, deleted: boolean): Revision {
    const rv = this.#rv + 1;
    const stored: KubeObject = { ...object, metadata: { ...object.metadata, resourceVersion: String(rv) } };
    const revision = new Revision(rv, key, JSON.stringify(stored), stored);
    if (previous !== null) this.#statements.supersede.run(rv, previous.rv);
    this.#statements.insert.run(
      rv,
      key.resource,
      key.namespace,
      key.name,
      deleted ? 1 : 0,
      previous?.rv ?? null,
      deleted ? rv : null,
      revision.json,
    );
    this.#rv = rv;
    return revision;
  }
}
