/** Checks on metadata, which every kind has and which this server alone is responsible for. */
import { labelValueFault, nameFault, qualifiedNameFault, type NameRule } from './names.ts';
import { isRecord, type ObjectMeta, type OwnerReference } from './object.ts';
import { badRequest, forbiddenField, invalidValue, required, type Cause } from './status.ts';

type FieldType = 'string' | 'number' | 'map' | 'strings' | 'owners' | 'ignored';

/** The fields of ObjectMeta (meta/v1); `ignored` ones are taken and not kept. */
const FIELDS: Readonly<Record<string, FieldType>> = {
  name: 'string',
  generateName: 'string',
  namespace: 'string',
  uid: 'string',
  resourceVersion: 'string',
  generation: 'number',
  creationTimestamp: 'string',
  deletionTimestamp: 'string',
  deletionGracePeriodSeconds: 'number',
  labels: 'map',
  annotations: 'map',
  ownerReferences: 'owners',
  finalizers: 'strings',
  managedFields: 'ignored',
  selfLink: 'ignored',
};

const OWNER_FIELDS = new Set(['apiVersion', 'kind', 'name', 'uid', 'controller', 'blockOwnerDeletion']);

const ANNOTATIONS_LIMIT_BYTES = 256 * 1024;

/**
 * The metadata of a body with only the fields that are kept, an empty name where there is none, and the unknown ones' paths. Fails with 400 where
 * a field has another type than ObjectMeta says, as Kubernetes' decoder does.
 */
export function decodeMetadata(value: unknown): { metadata: ObjectMeta; unknown: string[] } {
  if (!isRecord(value ?? {})) throw badRequest(`metadata must be an object, not ${JSON.stringify(value)}`);
  const metadata: Record<string, unknown> = { name: '' };
  const unknown: string[] = [];
  for (const [name, field] of Object.entries(isRecord(value) ? value : {})) {
    const type = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
    if (type === undefined) unknown.push(`metadata.${name}`);
    if (type === undefined || type === 'ignored' || field === null || field === undefined) continue;
    if (!hasType(type, field)) {
      throw badRequest(`metadata.${name} must be ${TYPE_TEXT[type]}, not ${JSON.stringify(field)}`);
    }
    metadata[name] = type === 'owners' ? decodeOwners(field, unknown) : field;
  }
  for (const name of ['labels', 'annotations'] as const) {
    if (isRecord(metadata[name]) && Object.keys(metadata[name]).length === 0) delete metadata[name];
  }
  for (const name of ['ownerReferences', 'finalizers'] as const) {
    if (Array.isArray(metadata[name]) && metadata[name].length === 0) delete metadata[name];
  }
  // Every field was checked above.
  return { metadata: metadata as unknown as ObjectMeta, unknown };
}

const TYPE_TEXT: Readonly<Record<FieldType, string>> = {
  string: 'a string',
  number: 'a number',
  map: 'a map of strings',
  strings: 'a list of strings',
  owners: 'a list of owner references',
  ignored: 'anything',
};

function hasType(type: FieldType, value: unknown): boolean {
  switch (type) {
    case 'string':
      return typeof value === 'string';
    case 'number':
      return typeof value === 'number';
    case 'map':
      return isRecord(value) && Object.values(value).every((item) => typeof item === 'string');
    case 'strings':
      return Array.isArray(value) && value.every((item) => typeof item === 'string');
    case 'owners':
      return Array.isArray(value) && value.every(isRecord);
    case 'ignored':
      return true;
  }
}

function decodeOwners(value: unknown, unknown: string[]): OwnerReference[] {
  const owners = Array.isArray(value) ? value.filter(isRecord) : [];
  return owners.map((owner, index) => {
    const path = `metadata.ownerReferences[${index}]`;
    const decoded: OwnerReference = { apiVersion: '', kind: '', name: '', uid: '' };
    for (const [name, field] of Object.entries(owner)) {
      if (!OWNER_FIELDS.has(name)) {
        unknown.push(`${path}.${name}`);
        continue;
      }
      const wanted = name === 'controller' || name === 'blockOwnerDeletion' ? 'boolean' : 'string';
      if (field === null) continue;
      if (typeof field !== wanted)
        throw badRequest(`${path}.${name} must be a ${wanted}, not ${JSON.stringify(field)}`);
      Object.assign(decoded, { [name]: field });
    }
    return decoded;
  });
}

/** What is wrong with the metadata's values. */
export function metadataCauses(metadata: ObjectMeta, nameRule: NameRule): Cause[] {
  const causes: Cause[] = [];
  const { name } = metadata;
  if (name === '') {
    causes.push(required('metadata.name', 'name or generateName is required'));
  } else {
    const fault = nameFault(name, nameRule);
    if (fault !== undefined) causes.push(invalidValue('metadata.name', name, fault));
  }
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    const fault = qualifiedNameFault(key) ?? labelValueFault(value);
    if (fault !== undefined) causes.push(invalidValue('metadata.labels', `${key}: ${value}`, fault));
  }
  let annotationBytes = 0;
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    annotationBytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    const fault = qualifiedNameFault(key.toLowerCase());
    if (fault !== undefined) causes.push(invalidValue('metadata.annotations', key, fault));
  }
  if (annotationBytes > ANNOTATIONS_LIMIT_BYTES) {
    const message = `Too long: may not be more than ${ANNOTATIONS_LIMIT_BYTES} bytes`;
    causes.push({ reason: 'FieldValueTooLong', message, field: 'metadata.annotations' });
  }
  for (const finalizer of metadata.finalizers ?? []) {
    const fault = qualifiedNameFault(finalizer);
    if (fault !== undefined) causes.push(invalidValue('metadata.finalizers', finalizer, fault));
  }
  causes.push(...ownerCauses(metadata.ownerReferences ?? []));
  return causes;
}

function ownerCauses(owners: readonly OwnerReference[]): Cause[] {
  const causes: Cause[] = [];
  for (const [index, owner] of owners.entries()) {
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (owner[field] === '') causes.push(required(`metadata.ownerReferences[${index}].${field}`));
    }
  }
  if (owners.filter((owner) => owner.controller === true).length > 1) {
    const why = 'Only one reference can have Controller set to true';
    causes.push(invalidValue('metadata.ownerReferences', owners, why));
  }
  return causes;
}

/** What an update may not change: an object that is being deleted gets no new finalizers. */
export function metadataUpdateCauses(before: ObjectMeta, after: ObjectMeta): Cause[] {
  const causes: Cause[] = [];
  if (before.deletionTimestamp !== undefined) {
    const added = (after.finalizers ?? []).filter((name) => before.finalizers?.includes(name) !== true);
    if (added.length > 0) {
      const why = `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`;
      causes.push(forbiddenField('metadata.finalizers', why));
    }
  }
  return causes;
}
