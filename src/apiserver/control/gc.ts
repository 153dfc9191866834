/**
 * Collects objects whose last owner is gone, and finishes foreground deletions. It works from the store's
 * changes, and once over everything at the start.
 */
import type { Logger } from 'pino';
import type { KubeObject, ObjectKey, OwnerReference } from '../object.ts';
import { deleteInTransaction, dropOwner, FOREGROUND_FINALIZER } from '../objects/delete.ts';
import { resourceById, resourceByKind } from '../resources.ts';
import type { Change } from '../store/revision.ts';
import type { Store } from '../store/store.ts';
import type { WriteTransaction } from '../store/transaction.ts';
import { WorkQueue } from './work-queue.ts';

const BACKGROUND = { dryRun: false, propagation: 'Background' } as const;
const FOREGROUND = { dryRun: false, propagation: 'Foreground' } as const;

export class GarbageCollector {
  readonly #store: Store;
  readonly #queue: WorkQueue<ObjectKey>;
  readonly #stopListening: () => void;

  constructor(store: Store, logger: Logger) {
    this.#store = store;
    this.#queue = new WorkQueue({
      keyOf: ({ resource, namespace, name }) => `${resource}/${namespace}/${name}`,
      work: (key) => store.write((transaction) => this.#process(transaction, key)),
      onError: (err, key) => logger.warn({ err, ...key }, 'garbage collection failed and is tried again'),
    });
    this.#stopListening = store.onChanges((changes) => this.#look(changes));
    for (const key of store.owned()) this.#queue.add(key);
  }

  close(): void {
    this.#stopListening();
    this.#queue.close();
  }

  #look(changes: readonly Change[]): void {
    for (const { type, current } of changes) {
      const { uid, ownerReferences = [], deletionTimestamp } = current.object.metadata;
      if (type === 'DELETED') {
        for (const key of this.#store.dependants(uid ?? '')) this.#queue.add(key);
        // Owners that wait for this one.
        for (const owner of ownerReferences) {
          const key = ownerKey(owner, current.key.namespace);
          if (key !== undefined) this.#queue.add(key);
        }
      } else if (ownerReferences.length > 0 || deletionTimestamp !== undefined) {
        this.#queue.add(current.key);
      }
    }
  }

  #process(transaction: WriteTransaction, key: ObjectKey): void {
    const object = transaction.get(key)?.object;
    const kind = resourceById(key.resource);
    if (object === undefined || kind === undefined) return;
    const { deletionTimestamp, finalizers = [], ownerReferences = [] } = object.metadata;
    if (deletionTimestamp !== undefined) {
      if (finalizers.includes(FOREGROUND_FINALIZER)) finishForeground(transaction, key, object);
      return;
    }
    const owners = ownerReferences.map((reference) => ({
      reference,
      owner: findOwner(transaction, reference, key),
    }));
    const gone = owners.filter(({ owner }) => owner === 'gone');
    if (owners.length === 0) return;
    if (gone.length === owners.length) {
      deleteInTransaction(transaction, kind, key, BACKGROUND);
      return;
    }
    for (const { reference } of gone) dropOwner(transaction, key, reference.uid);
  }
}

/** Deletes what depends on an object in foreground deletion, and ends that once nothing that blocks it is left. */
function finishForeground(transaction: WriteTransaction, key: ObjectKey, object: KubeObject): void {
  const uid = object.metadata.uid ?? '';
  let blocked = false;
  for (const dependant of transaction.dependants(uid)) {
    const kind = resourceById(dependant.resource);
    const found = transaction.get(dependant)?.object;
    if (kind === undefined || found === undefined) continue;
    const references = found.metadata.ownerReferences ?? [];
    const others = references.filter((owner) => owner.uid !== uid);
    if (others.some((owner) => findOwner(transaction, owner, dependant) !== 'gone')) {
      dropOwner(transaction, dependant, uid);
      continue;
    }
    if (found.metadata.deletionTimestamp === undefined)
      deleteInTransaction(transaction, kind, dependant, FOREGROUND);
    const blocks = references.some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true);
    blocked ||= blocks && transaction.get(dependant) !== undefined;
  }
  if (blocked) return;
  const finalizers = (object.metadata.finalizers ?? []).filter((name) => name !== FOREGROUND_FINALIZER);
  if (finalizers.length === 0) transaction.remove(key);
  else transaction.put(key, { ...object, metadata: { ...object.metadata, finalizers } });
}

function ownerKey(owner: OwnerReference, namespace: string): ObjectKey | undefined {
  const kind = resourceByKind(owner.apiVersion, owner.kind);
  if (kind === undefined) return undefined;
  return { resource: kind.id, namespace: kind.namespaced ? namespace : '', name: owner.name };
}

/** An owner of a kind that this server does not have may exist elsewhere: it counts as there. */
function findOwner(
  transaction: WriteTransaction,
  owner: OwnerReference,
  dependant: ObjectKey,
): 'there' | 'gone' {
  const key = ownerKey(owner, dependant.namespace);
  if (key === undefined) return 'there';
  return transaction.get(key)?.object.metadata.uid === owner.uid ? 'there' : 'gone';
}
