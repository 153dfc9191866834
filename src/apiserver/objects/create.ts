import { randomUUID } from 'node:crypto';
import type { ResourceKind } from '../kinds/resource-kind.ts';
import { generatedName } from '../names.ts';
import { clientMetadata, isRecord, omit, type KubeObject, type ObjectMeta } from '../object.ts';
import { alreadyExists, ApiError, badRequest, notFound, type ResourceName } from '../status.ts';
import type { Revision } from '../store/revision.ts';
import type { Store } from '../store/store.ts';
import type { WriteTransaction } from '../store/transaction.ts';
import { admit, checkObject, type FieldValidation } from './admission.ts';

export interface WriteOptions {
  /** Does everything but keep the result. */
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
}

export interface Written {
  readonly revision: Revision;
  readonly warnings: readonly string[];
}

/** How often a generated name that is taken is replaced by another. */
const NAME_ATTEMPTS = 8;

/** Creates an object. Fails with 400, 403 (namespace terminating), 404 (no such namespace), 409 or 422. */
export async function createObject(
  store: Store,
  kind: ResourceKind,
  namespace: string,
  body: unknown,
  options: WriteOptions,
): Promise<Written> {
  const { object, warnings } = admit(kind, body, options.fieldValidation);
  const given = object.metadata;
  if (given.resourceVersion !== undefined && given.resourceVersion !== '') {
    throw badRequest('resourceVersion should not be set on objects to be created');
  }
  checkNamespace(given, namespace, kind.namespaced);
  if (kind.hasStatus) delete object['status'];
  const metadata = newMetadata(kind, given, namespace);

  const revision = await store.write((transaction) => {
    const named = { ...metadata, name: freeName(transaction, kind, metadata) };
    const created = kind.normalise({ ...object, metadata: named });
    checkObject(kind, created);
    if (kind.namespaced) requireNamespace(transaction, namespace, kind, named.name);
    const key = { resource: kind.id, namespace, name: named.name };
    if (transaction.get(key) !== undefined) throw alreadyExists(kind, named.name);
    return transaction.put(key, created);
  }, options);
  return { revision, warnings };
}

/** Fails with 400 where a body names another namespace than its request. */
export function checkNamespace(metadata: ObjectMeta, namespace: string, namespaced: boolean): void {
  const given = metadata.namespace ?? '';
  if (given === '' || (namespaced && given === namespace)) return;
  throw badRequest(
    namespaced
      ? 'the namespace of the provided object does not match the namespace sent on the request'
      : 'namespace may not be set on a cluster-scoped object',
  );
}

function newMetadata(kind: ResourceKind, given: ObjectMeta, namespace: string): ObjectMeta {
  const { generateName } = given;
  return {
    name: given.name ?? '',
    ...(generateName === undefined ? {} : { generateName }),
    ...(kind.namespaced ? { namespace } : {}),
    uid: randomUUID(),
    ...(kind.custom ? { generation: 1 } : {}),
    creationTimestamp: timestamp(),
    ...clientMetadata(given),
  };
}

function freeName(transaction: WriteTransaction, kind: ResourceKind, metadata: ObjectMeta): string {
  const { name, generateName, namespace = '' } = metadata;
  if (name !== '' || generateName === undefined || generateName === '') return name;
  let generated = generatedName(generateName);
  for (let attempt = 1; attempt < NAME_ATTEMPTS; attempt++) {
    if (transaction.get({ resource: kind.id, namespace, name: generated }) === undefined) break;
    generated = generatedName(generateName);
  }
  return generated;
}

const namespaces: ResourceName = { group: '', plural: 'namespaces', kind: 'Namespace' };

function requireNamespace(
  transaction: WriteTransaction,
  namespace: string,
  kind: ResourceKind,
  name: string,
): void {
  const found = transaction.get({ resource: 'namespaces', namespace: '', name: namespace });
  if (found === undefined) throw notFound(namespaces, namespace);
  const status = found.object['status'];
  if (isRecord(status) && status['phase'] === 'Terminating') {
    const message = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw new ApiError(403, 'Forbidden', `${kind.plural} "${name}" is forbidden: ${message}`, {
      name,
      kind: kind.plural,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    });
  }
}

/** Now, to the second, as metadata has times. */
export function timestamp(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}

/** A dry run's result has no resourceVersion: nothing has that state. */
export function withoutResourceVersion(object: KubeObject): KubeObject {
  return { ...object, metadata: omit(object.metadata, 'resourceVersion') };
}
