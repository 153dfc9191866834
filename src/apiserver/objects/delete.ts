import type { ResourceKind } from '../kinds/resource-kind.ts';
import { isRecord, omit, type KubeObject, type ObjectKey } from '../object.ts';
import { badRequest, conflict, forbidden, notFound } from '../status.ts';
import type { Revision } from '../store/revision.ts';
import type { Store } from '../store/store.ts';
import type { WriteTransaction } from '../store/transaction.ts';
import { timestamp } from './create.ts';

export type Propagation = 'Background' | 'Foreground' | 'Orphan';

export interface DeleteOptions {
  readonly dryRun: boolean;
  readonly propagation: Propagation;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface Deleted {
  /** The object's last state, or the one that waits for its finalizers. */
  readonly revision: Revision;
  /** Whether it is gone already. */
  readonly gone: boolean;
}

/** Held by an object that goes after its dependants; the collector takes it away. */
export const FOREGROUND_FINALIZER = 'foregroundDeletion';

const PROTECTED_NAMESPACES = new Set(['default', 'kube-system']);

/**
 * DeleteOptions from a request's body and query. Fails with 400 for what they cannot be.
 */
export function decodeDeleteOptions(body: unknown, query: URLSearchParams): DeleteOptions {
  const options = body === undefined ? {} : body;
  if (!isRecord(options)) throw badRequest('the body of a delete must be DeleteOptions or absent');
  if (options['kind'] !== undefined && options['kind'] !== 'DeleteOptions') {
    throw badRequest(`the body of a delete must be DeleteOptions, not ${JSON.stringify(options['kind'])}`);
  }
  const policy = query.get('propagationPolicy') ?? options['propagationPolicy'] ?? undefined;
  const orphan = query.get('orphanDependents') === 'true' || options['orphanDependents'] === true;
  const dryRun = Array.isArray(options['dryRun']) && options['dryRun'].includes('All');
  const { uid, resourceVersion } = isRecord(options['preconditions']) ? options['preconditions'] : {};
  return {
    dryRun: dryRun || query.get('dryRun') === 'All',
    propagation: propagationOf(policy, orphan),
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
  };
}

function propagationOf(policy: unknown, orphan: boolean): Propagation {
  if (policy === undefined) return orphan ? 'Orphan' : 'Background';
  if (policy === 'Background' || policy === 'Foreground' || policy === 'Orphan') return policy;
  throw badRequest(
    `propagationPolicy must be Background, Foreground or Orphan, not ${JSON.stringify(policy)}`,
  );
}

/** Deletes an object, or marks it where finalizers hold it. Fails with 403, 404 or 409 (preconditions). */
export function deleteObject(
  store: Store,
  kind: ResourceKind,
  key: ObjectKey,
  options: DeleteOptions,
): Promise<Deleted> {
  return store.write((transaction) => deleteInTransaction(transaction, kind, key, options), options);
}

/** {@link deleteObject} as part of a larger write. */
export function deleteInTransaction(
  transaction: WriteTransaction,
  kind: ResourceKind,
  key: ObjectKey,
  options: DeleteOptions,
): Deleted {
  const current = transaction.get(key);
  if (current === undefined) throw notFound(kind, key.name);
  const { object } = current;
  checkPreconditions(kind, object, options);
  if (kind.id === 'namespaces' && PROTECTED_NAMESPACES.has(key.name)) {
    throw forbidden(kind, key.name, 'this namespace may not be deleted');
  }
  const uid = object.metadata.uid ?? '';
  const finalizers = new Set(object.metadata.finalizers);
  if (options.propagation === 'Orphan') {
    for (const dependant of transaction.dependants(uid)) dropOwner(transaction, dependant, uid);
    finalizers.delete(FOREGROUND_FINALIZER);
  } else if (options.propagation === 'Foreground' && transaction.dependants(uid).length > 0) {
    finalizers.add(FOREGROUND_FINALIZER);
  }
  if (finalizers.size === 0 && kind.id !== 'namespaces') {
    return { revision: transaction.remove(key) ?? current, gone: true };
  }
  const alreadyMarked = object.metadata.deletionTimestamp !== undefined;
  if (alreadyMarked && finalizers.size === (object.metadata.finalizers?.length ?? 0)) {
    return { revision: current, gone: false };
  }
  return { revision: transaction.put(key, marked(kind, object, [...finalizers])), gone: false };
}

function marked(kind: ResourceKind, object: KubeObject, finalizers: string[]): KubeObject {
  const metadata = omit(object.metadata, 'finalizers');
  return kind.normalise({
    ...object,
    metadata: {
      ...metadata,
      ...(finalizers.length === 0 ? {} : { finalizers }),
      ...(metadata.generation === undefined ? {} : { generation: metadata.generation + 1 }),
      deletionTimestamp: metadata.deletionTimestamp ?? timestamp(),
      deletionGracePeriodSeconds: 0,
    },
  });
}

/** Takes one owner away from an object's ownerReferences. */
export function dropOwner(transaction: WriteTransaction, key: ObjectKey, ownerUid: string): void {
  const object = transaction.get(key)?.object;
  if (object === undefined) return;
  const { ownerReferences = [], ...metadata } = object.metadata;
  const left = ownerReferences.filter((owner) => owner.uid !== ownerUid);
  transaction.put(key, {
    ...object,
    metadata: { ...metadata, ...(left.length === 0 ? {} : { ownerReferences: left }) },
  });
}

function checkPreconditions(kind: ResourceKind, object: KubeObject, options: DeleteOptions): void {
  const { name, uid, resourceVersion } = object.metadata;
  if (options.uid !== undefined && options.uid !== uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${uid}`,
    );
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion) {
    throw conflict(
      kind,
      name,
      `Precondition failed: ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`,
    );
  }
}
