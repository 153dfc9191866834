/**
 * Field numbers of the messages that clients send us, from `generated.proto` of k8s.io/api and
 * k8s.io/apimachinery 0.32.4 (core/v1, meta/v1, authorization/v1). Numbers never change their meaning.
 */

/**
 * - `string`, `int`, `bool`: left out where it is the zero value, as Go's `omitempty` does in JSON
 * - `optionalString`, `optionalInt`, `optionalBool`: without `omitempty`, or a pointer in Go: kept whenever it is sent
 * - `bytes`: base64 in JSON
 * - `time`, `microTime`: RFC 3339 text; left out at zero
 * - `stringMap`, `bytesMap`: `map<string, …>`
 */
export type ScalarType =
  | 'string'
  | 'optionalString'
  | 'int'
  | 'optionalInt'
  | 'bool'
  | 'optionalBool'
  | 'bytes'
  | 'time'
  | 'microTime'
  | 'stringMap'
  | 'bytesMap';

export interface FieldDefinition {
  readonly name: string;
  readonly type: ScalarType | MessageDefinition;
  readonly repeated?: boolean;
}

export interface MessageDefinition {
  readonly [fieldNumber: number]: FieldDefinition;
}

/** A field in short: name and type; a list where `repeated` is given. */
const f = (name: string, type: FieldDefinition['type']): FieldDefinition => ({ name, type });
const repeated = (name: string, type: FieldDefinition['type']): FieldDefinition => ({
  name,
  type,
  repeated: true,
});

const OWNER_REFERENCE: MessageDefinition = {
  1: f('kind', 'string'),
  3: f('name', 'string'),
  4: f('uid', 'string'),
  5: f('apiVersion', 'string'),
  6: f('controller', 'optionalBool'),
  7: f('blockOwnerDeletion', 'optionalBool'),
};

/** Without managedFields (17): this server keeps none. */
const OBJECT_META: MessageDefinition = {
  1: f('name', 'string'),
  2: f('generateName', 'string'),
  3: f('namespace', 'string'),
  4: f('selfLink', 'string'),
  5: f('uid', 'string'),
  6: f('resourceVersion', 'string'),
  7: f('generation', 'int'),
  8: f('creationTimestamp', 'time'),
  9: f('deletionTimestamp', 'time'),
  10: f('deletionGracePeriodSeconds', 'optionalInt'),
  11: f('labels', 'stringMap'),
  12: f('annotations', 'stringMap'),
  13: repeated('ownerReferences', OWNER_REFERENCE),
  14: repeated('finalizers', 'string'),
};

const OBJECT_REFERENCE: MessageDefinition = {
  1: f('kind', 'string'),
  2: f('namespace', 'string'),
  3: f('name', 'string'),
  4: f('uid', 'string'),
  5: f('apiVersion', 'string'),
  6: f('resourceVersion', 'string'),
  7: f('fieldPath', 'string'),
};

const CONFIG_MAP: MessageDefinition = {
  1: f('metadata', OBJECT_META),
  2: f('data', 'stringMap'),
  3: f('binaryData', 'bytesMap'),
  4: f('immutable', 'optionalBool'),
};

const SECRET: MessageDefinition = {
  1: f('metadata', OBJECT_META),
  2: f('data', 'bytesMap'),
  3: f('type', 'string'),
  4: f('stringData', 'stringMap'),
  5: f('immutable', 'optionalBool'),
};

const NAMESPACE_CONDITION: MessageDefinition = {
  1: f('type', 'string'),
  2: f('status', 'string'),
  4: f('lastTransitionTime', 'time'),
  5: f('reason', 'string'),
  6: f('message', 'string'),
};

const NAMESPACE: MessageDefinition = {
  1: f('metadata', OBJECT_META),
  2: f('spec', { 1: repeated('finalizers', 'string') }),
  3: f('status', { 1: f('phase', 'string'), 2: repeated('conditions', NAMESPACE_CONDITION) }),
};

const EVENT: MessageDefinition = {
  1: f('metadata', OBJECT_META),
  2: f('involvedObject', OBJECT_REFERENCE),
  3: f('reason', 'string'),
  4: f('message', 'string'),
  5: f('source', { 1: f('component', 'string'), 2: f('host', 'string') }),
  6: f('firstTimestamp', 'time'),
  7: f('lastTimestamp', 'time'),
  8: f('count', 'int'),
  9: f('type', 'string'),
  10: f('eventTime', 'microTime'),
  11: f('series', { 1: f('count', 'int'), 2: f('lastObservedTime', 'microTime') }),
  12: f('action', 'string'),
  13: f('related', OBJECT_REFERENCE),
  14: f('reportingComponent', 'optionalString'),
  15: f('reportingInstance', 'optionalString'),
};

const DELETE_OPTIONS: MessageDefinition = {
  1: f('gracePeriodSeconds', 'optionalInt'),
  2: f('preconditions', { 1: f('uid', 'optionalString'), 2: f('resourceVersion', 'optionalString') }),
  3: f('orphanDependents', 'optionalBool'),
  4: f('propagationPolicy', 'optionalString'),
  5: repeated('dryRun', 'string'),
};

const SELECTOR_ATTRIBUTES: MessageDefinition = {
  1: f('rawSelector', 'string'),
  2: repeated('requirements', {
    1: f('key', 'string'),
    2: f('operator', 'string'),
    3: repeated('values', 'string'),
  }),
};

const RESOURCE_ATTRIBUTES: MessageDefinition = {
  1: f('namespace', 'string'),
  2: f('verb', 'string'),
  3: f('group', 'string'),
  4: f('version', 'string'),
  5: f('resource', 'string'),
  6: f('subresource', 'string'),
  7: f('name', 'string'),
  8: f('fieldSelector', SELECTOR_ATTRIBUTES),
  9: f('labelSelector', SELECTOR_ATTRIBUTES),
};

/** Without its status (3), which only the server writes. */
const SELF_SUBJECT_ACCESS_REVIEW: MessageDefinition = {
  1: f('metadata', OBJECT_META),
  2: f('spec', {
    1: f('resourceAttributes', RESOURCE_ATTRIBUTES),
    2: f('nonResourceAttributes', { 1: f('path', 'string'), 2: f('verb', 'string') }),
  }),
};

/** The envelope around every body, `runtime.Unknown` of k8s.io/apimachinery/pkg/runtime; `raw` (2) is read apart. */
export const TYPE_META: MessageDefinition = { 1: f('apiVersion', 'string'), 2: f('kind', 'string') };

/** By `apiVersion/kind`, as the envelope says them. DeleteOptions comes under the version of its resource. */
export const MESSAGES: ReadonlyMap<string, MessageDefinition> = new Map([
  ['v1/ConfigMap', CONFIG_MAP],
  ['v1/Secret', SECRET],
  ['v1/Namespace', NAMESPACE],
  ['v1/Event', EVENT],
  ['v1/DeleteOptions', DELETE_OPTIONS],
  ['meta.k8s.io/v1/DeleteOptions', DELETE_OPTIONS],
  ['authorization.k8s.io/v1/SelfSubjectAccessReview', SELF_SUBJECT_ACCESS_REVIEW],
]);
