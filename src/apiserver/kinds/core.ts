/** How this server keeps the core kinds: their checks, and what it sets in them. */
import { CORE_KINDS, type KindInfo } from '../formats/index.ts';
import { setOwn } from '../formats/json.ts';
import { isRecord, omit, type KubeObject } from '../object.ts';
import { forbiddenField, invalidValue, type Cause } from '../status.ts';
import { checkFields } from './field-check.ts';
import type { ResourceKind } from './resource-kind.ts';

/** The limit of Kubernetes on the data of a ConfigMap or Secret. */
const DATA_LIMIT_BYTES = 1024 * 1024;

const EVENT_TTL_MS = 60 * 60 * 1000;

type Behaviour = Partial<
  Pick<ResourceKind, 'nameRule' | 'ttlMs' | 'validate' | 'validateUpdate' | 'normalise'>
>;

/** What differs from a kind that is just kept as it is sent. */
const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  namespaces: { nameRule: 'label', normalise: normalisedNamespace },
  configmaps: {
    validate: dataErrors,
    validateUpdate: (stored, object) => immutableCauses(stored, object, ['data', 'binaryData']),
  },
  secrets: {
    validate: dataErrors,
    validateUpdate: (stored, object) => [
      ...(stored['type'] === object['type']
        ? []
        : [invalidValue('type', object['type'], 'field is immutable')]),
      ...immutableCauses(stored, object, ['data']),
    ],
    normalise: normalisedSecret,
  },
  events: { ttlMs: EVENT_TTL_MS },
};

function storedKind(info: KindInfo): ResourceKind {
  const { validate, ...behaviour } = BEHAVIOURS[info.plural] ?? {};
  return {
    ...info,
    id: info.plural,
    custom: false,
    nameRule: 'subdomain',
    validateUpdate: () => [],
    normalise: (object) => object,
    ...behaviour,
    validate: (object) => [...contentErrors(info, object), ...(validate?.(object) ?? [])],
  };
}

export const STORED_CORE_KINDS: readonly ResourceKind[] = CORE_KINDS.map(storedKind);

/** By the schema; apiVersion, kind and metadata are checked for all kinds alike, elsewhere. */
function contentErrors(info: KindInfo, object: unknown): ReturnType<ResourceKind['validate']> {
  if (!isRecord(object)) return [{ path: '', message: 'must be an object' }];
  const properties = isRecord(info.schema['properties']) ? info.schema['properties'] : {};
  return checkFields(
    { ...info.schema, properties: { ...properties, metadata: {} } },
    omit(object, 'apiVersion', 'kind'),
  );
}

const DATA_KEY = /^[-._a-zA-Z0-9]{1,253}$/;

function dataErrors(object: unknown): ReturnType<ResourceKind['validate']> {
  if (!isRecord(object)) return [];
  const errors: { path: string; message: string }[] = [];
  let bytes = 0;
  for (const field of ['data', 'binaryData', 'stringData']) {
    const map = object[field];
    if (!isRecord(map)) continue;
    for (const [key, value] of Object.entries(map)) {
      const encoding = field === 'binaryData' || object['kind'] === 'Secret' ? 'base64' : 'utf8';
      bytes +=
        typeof value === 'string' ? Buffer.byteLength(value, field === 'stringData' ? 'utf8' : encoding) : 0;
      if (!DATA_KEY.test(key)) {
        const rule =
          "a valid config key must consist of alphanumeric characters, '-', '_' or '.', at most 253";
        errors.push({ path: `${field}[${key}]`, message: `Invalid value: ${JSON.stringify(key)}: ${rule}` });
      }
    }
  }
  if (bytes > DATA_LIMIT_BYTES) {
    errors.push({ path: 'data', message: `Too long: may not be more than ${DATA_LIMIT_BYTES} bytes` });
  }
  return errors;
}

function immutableCauses(stored: KubeObject, object: KubeObject, fields: readonly string[]): Cause[] {
  if (stored['immutable'] !== true) return [];
  const why = 'field is immutable when `immutable` is set';
  const changed = ['immutable', ...fields].filter(
    (field) => JSON.stringify(stored[field]) !== JSON.stringify(object[field]),
  );
  return changed.map((field) => forbiddenField(field, why));
}

function normalisedNamespace(namespace: KubeObject): KubeObject {
  const { metadata } = namespace;
  const labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name };
  const phase = metadata.deletionTimestamp === undefined ? 'Active' : 'Terminating';
  const status = isRecord(namespace['status']) ? namespace['status'] : {};
  const spec = isRecord(namespace['spec']) ? namespace['spec'] : { finalizers: ['kubernetes'] };
  return { ...namespace, metadata: { ...metadata, labels }, spec, status: { ...status, phase } };
}

function normalisedSecret(secret: KubeObject): KubeObject {
  const { apiVersion, kind, metadata, stringData, data: given, type: givenType, ...rest } = secret;
  const data: Record<string, unknown> = isRecord(given) ? { ...given } : {};
  for (const [key, text] of Object.entries(isRecord(stringData) ? stringData : {})) {
    setOwn(data, key, Buffer.from(String(text)).toString('base64'));
  }
  const kept = Object.keys(data).length > 0 ? { data } : {};
  const type = typeof givenType === 'string' && givenType !== '' ? givenType : 'Opaque';
  return { apiVersion, kind, metadata, ...rest, ...kept, type };
}
