/** OpenAPI v3 schemas of the core kinds and of the metadata that all kinds share, with short descriptions. */
import type { JsonObject } from './json.ts';

/** Where a group's document keeps the schemas that every kind refers to. */
export const META_PREFIX = 'io.k8s.apimachinery.pkg.apis.meta.v1';

const text = (description: string): JsonObject => ({ type: 'string', description });
const time = (description: string): JsonObject => ({ type: 'string', format: 'date-time', description });
const flag = (description: string): JsonObject => ({ type: 'boolean', description });
const int32 = (description: string): JsonObject => ({ type: 'integer', format: 'int32', description });
const int64 = (description: string): JsonObject => ({ type: 'integer', format: 'int64', description });
const listOf = (items: JsonObject, description: string): JsonObject => ({
  type: 'array',
  items,
  description,
});
const mapOf = (values: JsonObject, description: string): JsonObject => ({
  type: 'object',
  additionalProperties: values,
  description,
});
const object = (
  description: string,
  properties: JsonObject,
  required: readonly string[] = [],
): JsonObject => ({
  type: 'object',
  description,
  properties,
  ...(required.length > 0 ? { required } : {}),
});
const plainText: JsonObject = { type: 'string' };
const base64: JsonObject = { type: 'string', format: 'byte' };

/** Lists that a strategic merge patch merges; kubectl computes its patches from these. */
const mergedBy = (key: string): JsonObject => ({
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': [key],
  'x-kubernetes-patch-strategy': 'merge',
  'x-kubernetes-patch-merge-key': key,
});
const mergedAsSet: JsonObject = { 'x-kubernetes-list-type': 'set', 'x-kubernetes-patch-strategy': 'merge' };

const OWNER_REFERENCE = object(
  'Names an object in the same namespace (or without one) on which this object depends.',
  {
    apiVersion: text("API version of the owner, such as 'fission.io/v1'."),
    kind: text('Kind of the owner.'),
    name: text('Name of the owner.'),
    uid: text('UID of the owner; an owner of the same name made later is another one.'),
    controller: flag('Whether the owner is the one that manages this object.'),
    blockOwnerDeletion: flag('Whether foreground deletion of the owner waits until this object is gone.'),
  },
  ['apiVersion', 'kind', 'name', 'uid'],
);

const OBJECT_META = object('What every stored object has: its name, its labels, its history.', {
  name: text('Unique among the objects of this kind in its namespace. Cannot be changed.'),
  generateName: text('Where no name is given: the prefix from which the server makes one.'),
  namespace: text('The namespace in which the name is unique. Cannot be changed.'),
  labels: mapOf(plainText, 'Keys and values by which objects are selected.'),
  annotations: mapOf(plainText, 'Keys and values for tools, not used to select.'),
  uid: text('Unique over all objects and all time; given by the server.'),
  resourceVersion: text('Changes with every write. Sent back in a replace, it guards against lost updates.'),
  generation: int64('Counts the changes of the desired state; given by the server.'),
  creationTimestamp: time('When the object was created; given by the server.'),
  deletionTimestamp: time('When its deletion was asked for; it goes when its finalizers are done.'),
  deletionGracePeriodSeconds: int64('How long it may take to end, in seconds.'),
  finalizers: {
    ...listOf(plainText, 'Who must still do something before the object may go.'),
    ...mergedAsSet,
  },
  ownerReferences: {
    ...listOf(
      OWNER_REFERENCE,
      'Objects on which this one depends: it is collected when all of them are gone.',
    ),
    ...mergedBy('uid'),
  },
});

const LIST_META = object('What every list has.', {
  resourceVersion: text('The state of the store that the list shows; a watch can begin from it.'),
  continue: text('Present where there is more: to be sent back to get the next part.'),
  remainingItemCount: int64('How many items are left after this part.'),
});

const STATUS = object('The result of a call that does not answer an object.', {
  status: text("'Success' or 'Failure'."),
  message: text('What went wrong, for people.'),
  reason: text("Why, for programs, such as 'NotFound'."),
  code: int32('The HTTP status.'),
  details: {
    type: 'object',
    description: 'The object and the fields concerned.',
    'x-kubernetes-preserve-unknown-fields': true,
  },
});

const DELETE_OPTIONS = object('How an object is to be deleted.', {
  gracePeriodSeconds: int64('How long the object may take to end, in seconds.'),
  propagationPolicy: text(
    "What happens to the objects that it owns: 'Orphan', 'Background' or 'Foreground'.",
  ),
  orphanDependents: flag('An older form of propagationPolicy: true is Orphan.'),
  dryRun: listOf(plainText, "'All' checks the call without doing it."),
  preconditions: object('Delete only if these still hold.', {
    uid: text('The UID that the object must have.'),
    resourceVersion: text('The resourceVersion that the object must have.'),
  }),
});

/** By their names below `components/schemas`. */
export const META_SCHEMAS: Readonly<Record<string, JsonObject>> = {
  [`${META_PREFIX}.ObjectMeta`]: OBJECT_META,
  [`${META_PREFIX}.ListMeta`]: LIST_META,
  [`${META_PREFIX}.Status`]: STATUS,
  [`${META_PREFIX}.DeleteOptions`]: DELETE_OPTIONS,
};

export const CONFIG_MAP_SCHEMA = object('Configuration for functions, not secret.', {
  data: mapOf(plainText, 'Values in UTF-8. A key has letters, digits, -, _ or . only.'),
  binaryData: mapOf(base64, 'Values that are not UTF-8, in base64. No key may also be in data.'),
  immutable: flag('If true, the data can never be changed again.'),
});

export const SECRET_SCHEMA = object('Confidential data for functions.', {
  data: mapOf(base64, 'Values in base64. A key has letters, digits, -, _ or . only.'),
  stringData: mapOf(plainText, 'Values as plain text, written into data by the server and never read back.'),
  type: text("What kind of secret it is. Defaults to 'Opaque'. Cannot be changed."),
  immutable: flag('If true, the data can never be changed again.'),
});

const NAMESPACE_CONDITION = object(
  'One observation about a namespace.',
  {
    type: text('What is observed.'),
    status: text("'True', 'False' or 'Unknown'."),
    lastTransitionTime: time('When the status last changed.'),
    reason: text('Why, for programs.'),
    message: text('Why, for people.'),
  },
  ['type', 'status'],
);

export const NAMESPACE_SCHEMA = object('A scope for names.', {
  spec: object('What the namespace is to be.', {
    finalizers: listOf(plainText, 'Who must still do something before the namespace may go.'),
  }),
  status: object('What the namespace is.', {
    phase: text("'Active' or 'Terminating'."),
    conditions: { ...listOf(NAMESPACE_CONDITION, 'Observations about its state.'), ...mergedBy('type') },
  }),
});

const objectReference = (description: string): JsonObject =>
  object(description, {
    apiVersion: text('API version of the object.'),
    kind: text('Kind of the object.'),
    namespace: text('Namespace of the object.'),
    name: text('Name of the object.'),
    uid: text('UID of the object.'),
    resourceVersion: text('Its resourceVersion at that time.'),
    fieldPath: text('The part of the object that is meant.'),
  });

export const EVENT_SCHEMA = object(
  'A report of something that happened to an object.',
  {
    involvedObject: objectReference('The object that the event is about.'),
    related: objectReference('A second object that has to do with it.'),
    reason: text('Why, in one word, for programs.'),
    message: text('What happened, for people.'),
    type: text("'Normal' or 'Warning'."),
    action: text('What was done or has failed.'),
    count: int32('How often it has happened.'),
    firstTimestamp: time('When it happened first.'),
    lastTimestamp: time('When it happened last.'),
    eventTime: time('When it was observed, in microseconds.'),
    series: object('Given where it goes on happening.', {
      count: int32('How often, up to the last observation.'),
      lastObservedTime: time('When it was last observed, in microseconds.'),
    }),
    source: object('Who reports it.', {
      component: text('The component that reports it.'),
      host: text('The node on which that component runs.'),
    }),
    reportingComponent: text("The controller that reports it, such as 'fissium.io/router'."),
    reportingInstance: text('The instance of that controller.'),
  },
  ['metadata', 'involvedObject'],
);

const selectorAttributes = (description: string): JsonObject =>
  object(description, {
    rawSelector: text('The selector as text.'),
    requirements: listOf(
      object('One requirement of the selector.', {
        key: text('The field or label.'),
        operator: text('In, NotIn, Exists or DoesNotExist.'),
        values: listOf(plainText, 'The values of In and NotIn.'),
      }),
      'The selector, parsed.',
    ),
  });

export const ACCESS_REVIEW_SCHEMA = object(
  'Asks whether whoever sends it may do something.',
  {
    spec: object('What is asked: exactly one of the two.', {
      resourceAttributes: object('A call on a resource.', {
        namespace: text('The namespace; empty for all.'),
        verb: text('get, list, watch, create, update, patch, delete, or * for all.'),
        group: text('API group of the resource.'),
        version: text('API version of the resource.'),
        resource: text('The resource, in the plural.'),
        subresource: text('The subresource, such as status.'),
        name: text('The name of one object; empty for all.'),
        fieldSelector: selectorAttributes('A limit by fields.'),
        labelSelector: selectorAttributes('A limit by labels.'),
      }),
      nonResourceAttributes: object('A call on a path.', {
        path: text('The path of the URL.'),
        verb: text('The HTTP method, in lower case.'),
      }),
    }),
    status: object(
      'The answer; given by the server.',
      {
        allowed: flag('Whether it is allowed.'),
        denied: flag('Whether it is refused for certain.'),
        reason: text('Why.'),
        evaluationError: text('What went wrong while finding out.'),
      },
      ['allowed'],
    ),
  },
  ['spec'],
);
