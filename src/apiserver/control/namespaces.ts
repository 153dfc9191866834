/** Namespaces: the ones that are always there, and the end of those that are deleted. */
import type { Logger } from 'pino';
import { deleteInTransaction } from '../objects/delete.ts';
import { createObject } from '../objects/create.ts';
import { RESOURCES, resourceById } from '../resources.ts';
import type { Change } from '../store/revision.ts';
import type { Store } from '../store/store.ts';
import type { WriteTransaction } from '../store/transaction.ts';
import { WorkQueue } from './work-queue.ts';

const CONTENT = { dryRun: false, propagation: 'Background' } as const;

/** How many objects of a namespace go in one transaction. */
const CHUNK = 200;

const namespaceKey = (name: string) => ({ resource: 'namespaces', namespace: '', name });

/** Creates the namespaces that are missing. */
export async function ensureNamespaces(store: Store, names: readonly string[]): Promise<void> {
  const kind = resourceById('namespaces');
  if (kind === undefined) return;
  for (const name of names) {
    if (store.get(namespaceKey(name)) !== undefined) continue;
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    await createObject(store, kind, '', body, { dryRun: false, fieldValidation: 'Strict' });
  }
}

/** Deletes the content of namespaces that are to go, then the namespaces. */
export class NamespaceLifecycle {
  readonly #store: Store;
  readonly #queue: WorkQueue<string>;
  readonly #terminating = new Set<string>();
  readonly #stopListening: () => void;

  constructor(store: Store, logger: Logger) {
    this.#store = store;
    this.#queue = new WorkQueue({
      keyOf: (name) => name,
      work: (name) => this.#finish(name),
      onError: (err, namespace) =>
        logger.warn({ err, namespace }, 'deleting a namespace failed and is tried again'),
    });
    this.#stopListening = store.onChanges((changes) => this.#look(changes));
    for (const { key, object } of store.list({ resource: 'namespaces' })) {
      if (object.metadata.deletionTimestamp !== undefined) this.#start(key.name);
    }
  }

  close(): void {
    this.#stopListening();
    this.#queue.close();
  }

  #look(changes: readonly Change[]): void {
    for (const { type, current } of changes) {
      const { resource, namespace, name } = current.key;
      if (resource === 'namespaces') {
        if (type === 'DELETED') this.#terminating.delete(name);
        else if (current.object.metadata.deletionTimestamp !== undefined) this.#start(name);
      } else if (type === 'DELETED' && this.#terminating.has(namespace)) {
        this.#queue.add(namespace);
      }
    }
  }

  #start(name: string): void {
    this.#terminating.add(name);
    this.#queue.add(name);
  }

  async #finish(name: string): Promise<void> {
    let more = true;
    while (more) more = await this.#store.write((transaction) => this.#deleteSome(transaction, name));
    await this.#store.write((transaction) => {
      const namespace = transaction.get(namespaceKey(name));
      if (namespace?.object.metadata.deletionTimestamp === undefined) return;
      // Objects with finalizers are waited for: their deletion brings this namespace back here.
      if (this.#hasContent(transaction, name) || (namespace.object.metadata.finalizers ?? []).length > 0)
        return;
      transaction.remove(namespaceKey(name));
    });
  }

  /** Returns whether there may be more to delete. */
  #deleteSome(transaction: WriteTransaction, namespace: string): boolean {
    let left = CHUNK;
    for (const kind of RESOURCES) {
      if (!kind.namespaced || left === 0) continue;
      const found = transaction.list(kind.id, namespace, Number.MAX_SAFE_INTEGER);
      const open = found
        .filter(({ object }) => object.metadata.deletionTimestamp === undefined)
        .slice(0, left);
      for (const { key } of open) deleteInTransaction(transaction, kind, key, CONTENT);
      left -= open.length;
    }
    return left === 0;
  }

  #hasContent(transaction: WriteTransaction, namespace: string): boolean {
    return RESOURCES.some((kind) => kind.namespaced && transaction.list(kind.id, namespace, 1).length > 0);
  }
}
