import { isDeepStrictEqual } from 'node:util';
import type { ResourceKind } from '../kinds/resource-kind.ts';
import { metadataUpdateCauses } from '../metadata.ts';
import { clientMetadata, omit, type KubeObject, type ObjectKey, type ObjectMeta } from '../object.ts';
import { badRequest, conflict, invalidValue, modified, notFound, type Cause } from '../status.ts';
import type { Store } from '../store/store.ts';
import { admit, checkObject, type FieldValidation } from './admission.ts';
import { checkNamespace, type WriteOptions, type Written } from './create.ts';

export type Subresource = 'status' | undefined;

export interface Update extends WriteOptions {
  readonly subresource: Subresource;
  /** PUT: the body is all that the client wants, and must say which state it read. */
  readonly replace: boolean;
  /** The wanted object, made from the current one inside the transaction, so that a patch never races. */
  wanted(current: KubeObject): unknown;
}

/**
 * Changes an object. Fails with 400, 404, 409 (the resourceVersion is not the current one) or 422. A change that changes
 * nothing writes nothing. An object that is being deleted goes when its last finalizer does.
 */
export async function updateObject(
  store: Store,
  kind: ResourceKind,
  key: ObjectKey,
  update: Update,
): Promise<Written> {
  let warnings: readonly string[] = [];
  const revision = await store.write((transaction) => {
    const current = transaction.get(key);
    if (current === undefined) throw notFound(kind, key.name);
    const admitted = admitUpdate(kind, key, update.wanted(current.object), update.fieldValidation);
    warnings = admitted.warnings;
    const causes = checkPreconditions(kind, current.object, admitted.object.metadata, update);
    const next = nextObject(kind, current.object, admitted.object, update.subresource);
    causes.push(...metadataUpdateCauses(current.object.metadata, admitted.object.metadata));
    causes.push(...kind.validateUpdate(current.object, next));
    checkObject(kind, next, causes);
    if (isDeepStrictEqual(next, current.object)) return current;
    const { deletionTimestamp, finalizers = [] } = next.metadata;
    const put = transaction.put(key, next);
    const finished = deletionTimestamp !== undefined && finalizers.length === 0 && kind.id !== 'namespaces';
    return finished ? (transaction.remove(key) ?? put) : put;
  }, update);
  return { revision, warnings };
}

function admitUpdate(
  kind: ResourceKind,
  key: ObjectKey,
  body: unknown,
  fieldValidation: FieldValidation,
): ReturnType<typeof admit> {
  const admitted = admit(kind, body, fieldValidation);
  const { metadata } = admitted.object;
  const given = metadata.name;
  if (given !== key.name) {
    throw badRequest(`the name of the object (${given}) does not match the name on the URL (${key.name})`);
  }
  checkNamespace(metadata, key.namespace, kind.namespaced);
  return admitted;
}

function checkPreconditions(
  kind: ResourceKind,
  current: KubeObject,
  wanted: ObjectMeta,
  update: Update,
): Cause[] {
  const { name, uid, resourceVersion } = current.metadata;
  if ((wanted.uid ?? '') !== '' && wanted.uid !== uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${uid}`,
    );
  }
  const given = wanted.resourceVersion ?? '';
  if (given === '' || given === '0') {
    if (!update.replace || !kind.custom) return [];
    return [invalidValue('metadata.resourceVersion', 0, 'must be specified for an update')];
  }
  if (given !== resourceVersion) throw modified(kind, name);
  return [];
}

const CLIENT_METADATA = ['labels', 'annotations', 'ownerReferences', 'finalizers'] as const;

/** The current object with the part that this request may change taken from the wanted one. */
function nextObject(
  kind: ResourceKind,
  current: KubeObject,
  wanted: KubeObject,
  subresource: Subresource,
): KubeObject {
  if (subresource === 'status') {
    const next: KubeObject = { ...current, status: wanted['status'] };
    if (next['status'] === undefined) delete next['status'];
    return kind.normalise(next);
  }
  const metadata = { ...omit(current.metadata, ...CLIENT_METADATA), ...clientMetadata(wanted.metadata) };
  if (kind.custom && !isDeepStrictEqual(contentOf(current), contentOf(wanted))) {
    metadata.generation = (current.metadata.generation ?? 0) + 1;
  }
  const next: KubeObject = { ...wanted, metadata };
  if (kind.hasStatus) next['status'] = current['status'];
  if (next['status'] === undefined) delete next['status'];
  return kind.normalise(next);
}

/** What a generation counts the changes of. */
function contentOf(object: KubeObject): unknown {
  return omit(object, 'metadata', 'status');
}
