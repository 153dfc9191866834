/** The pieces that the kinds' schemas are made of. A schema is the one source of types, checks and CRDs. */
import Type from 'typebox';
import type { Static, TProperties, TSchema, TSchemaOptions } from 'typebox';
import { DNS_LABEL, DNS_LABEL_MAX_LENGTH, OPTIONAL_DNS_LABEL } from './names.ts';
import {
  FUNCTION_REFERENCE_RULES,
  NAME_RULE,
  POD_SPEC_RULES,
  SECURITY_CONTEXT_RULES,
  rules,
} from './rules.ts';

/** The metadata of a stored object (Kubernetes API conventions, ObjectMeta). */
export interface ObjectMeta {
  name: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: unknown[];
  selfLink?: string;
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** One observation of an object's state (Kubernetes API conventions, metav1.Condition). */
export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  observedGeneration?: number;
  /** RFC 3339; when `status` last changed. */
  lastTransitionTime: string;
}

/** An object that takes the named fields only. */
export function closed<P extends TProperties>(properties: P, options: TSchemaOptions = {}) {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

/** An object whose inside is Kubernetes' business and kept as written. */
export function untypedObject(description: string) {
  return Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    description,
    'x-kubernetes-preserve-unknown-fields': true,
  });
}

/** A list of objects whose inside is Kubernetes' business and kept as written. */
export function untypedList(description: string) {
  return Type.Unsafe<Record<string, unknown>[]>({
    type: 'array',
    description,
    items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  });
}

const PRESERVE = { 'x-kubernetes-preserve-unknown-fields': true } as const;

const securityContext = {
  type: 'object',
  ...PRESERVE,
  properties: {
    privileged: { type: 'boolean' },
    allowPrivilegeEscalation: { type: 'boolean' },
    capabilities: {
      type: 'object',
      ...PRESERVE,
      properties: { add: { type: 'array', maxItems: 64, items: { type: 'string', maxLength: 64 } } },
    },
  },
  ...rules(...SECURITY_CONTEXT_RULES),
};

const containerNode = { type: 'object', ...PRESERVE, properties: { securityContext } };
const containersNode = { type: 'array', maxItems: 64, items: containerNode };

/** A Kubernetes Container, kept as written, of which only what is refused is typed. */
export function container(description: string) {
  return Type.Unsafe<Record<string, unknown>>({ ...containerNode, description });
}

/** A Kubernetes PodSpec, kept as written, of which only what is refused is typed. */
export function podSpec(description: string) {
  return Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    description,
    ...PRESERVE,
    properties: {
      hostNetwork: { type: 'boolean' },
      hostPID: { type: 'boolean' },
      hostIPC: { type: 'boolean' },
      serviceAccountName: { type: 'string' },
      serviceAccount: { type: 'string' },
      containers: containersNode,
      initContainers: containersNode,
      volumes: {
        type: 'array',
        maxItems: 256,
        items: {
          type: 'object',
          ...PRESERVE,
          properties: { hostPath: { type: 'object', ...PRESERVE } },
          ...rules(['!has(self.hostPath)', 'is not allowed', '.hostPath']),
        },
      },
    },
    ...rules(...POD_SPEC_RULES),
  });
}

/** One of the named strings. */
export function choice<const V extends readonly string[]>(values: V, options: TSchemaOptions = {}) {
  return Type.Unsafe<V[number]>({ ...options, type: 'string', enum: [...values] });
}

/** A whole number or a string: quantities, durations. */
export function intOrString(options: TSchemaOptions = {}) {
  return Type.Unsafe<number | string>({
    ...options,
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    'x-kubernetes-int-or-string': true,
  });
}

/** The same schema where an explicit null is kept (Go's empty lists and maps). */
export function nullable<T extends TSchema>(schema: T) {
  return Type.Unsafe<Static<T> | null>({ ...schema, nullable: true });
}

export function stringList(description: string, options: TSchemaOptions = {}, entry: TSchemaOptions = {}) {
  return Type.Array(Type.String(entry), { ...options, description });
}

/** The name of an object that is referred to. */
export function dnsLabel(description: string) {
  return Type.String({ description, pattern: DNS_LABEL, maxLength: DNS_LABEL_MAX_LENGTH });
}

/** {@link dnsLabel}, or empty: Fission's own tools write out the names that an object does not have. */
export function optionalDnsLabel(description: string) {
  return Type.String({ description, pattern: OPTIONAL_DNS_LABEL, maxLength: DNS_LABEL_MAX_LENGTH });
}

/** What a Kubernetes object of one of our kinds is around its spec and status. */
export function kindSchema<K extends string, S extends TSchema, T extends TSchema>(
  kind: K,
  description: string,
  spec: S,
  status: T,
) {
  return closed(
    {
      apiVersion: Type.Unsafe<'fission.io/v1'>({ type: 'string', enum: ['fission.io/v1'] }),
      kind: Type.Unsafe<K>({ type: 'string', enum: [kind] }),
      metadata: objectMetaSchema,
      spec,
      status: Type.Optional(status),
    },
    { description, ...rules(NAME_RULE) },
  );
}

const stringMap = (description: string) => Type.Record(Type.String(), Type.String(), { description });

const objectMetaSchema = Type.Unsafe<ObjectMeta>(
  closed(
    {
      name: Type.Optional(Type.String({ description: 'Unique among its kind and namespace.' })),
      generateName: Type.Optional(Type.String({ description: 'Prefix of a name that the server makes.' })),
      namespace: Type.Optional(Type.String()),
      uid: Type.Optional(Type.String()),
      resourceVersion: Type.Optional(Type.String()),
      generation: Type.Optional(Type.Integer()),
      creationTimestamp: Type.Optional(Type.String()),
      deletionTimestamp: Type.Optional(Type.String()),
      deletionGracePeriodSeconds: Type.Optional(Type.Integer()),
      labels: Type.Optional(stringMap('Names and values to select by.')),
      annotations: Type.Optional(stringMap('Anything else that is kept with the object.')),
      ownerReferences: Type.Optional(
        Type.Array(
          closed({
            apiVersion: Type.String(),
            kind: Type.String(),
            name: Type.String(),
            uid: Type.String(),
            controller: Type.Optional(Type.Boolean()),
            blockOwnerDeletion: Type.Optional(Type.Boolean()),
          }),
        ),
      ),
      finalizers: Type.Optional(stringList('Who must act before the object goes.')),
      managedFields: Type.Optional(untypedList('Which client set what.')),
      selfLink: Type.Optional(Type.String()),
    },
    { description: 'Standard object metadata.' },
  ),
);

export const conditionsSchema = Type.Array(
  Type.Unsafe<Condition>(
    closed({
      type: Type.String({ maxLength: 316 }),
      status: choice(['True', 'False', 'Unknown']),
      reason: Type.String({
        minLength: 1,
        maxLength: 1024,
        pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
      }),
      message: Type.String({ maxLength: 32768 }),
      observedGeneration: Type.Optional(Type.Integer({ format: 'int64', minimum: 0 })),
      lastTransitionTime: Type.String({ format: 'date-time' }),
    }),
  ),
  {
    description: 'Latest observations of the state; `Ready` sums them up.',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  },
);

export const observedGenerationSchema = Type.Integer({
  format: 'int64',
  description: 'metadata.generation that the status speaks of.',
});

/** The status of kinds that have nothing else to tell. */
export const conditionsStatusSchema = closed(
  {
    observedGeneration: Type.Optional(observedGenerationSchema),
    conditions: Type.Optional(conditionsSchema),
  },
  { description: 'Observed state.' },
);

/** Kubernetes' ResourceRequirements. */
export const resourcesSchema = closed(
  {
    limits: Type.Optional(
      Type.Record(Type.String(), intOrString(), {
        description: 'Most that may be used, by resource: `memory` (default 128Mi for Wasm), `cpu`.',
      }),
    ),
    requests: Type.Optional(
      Type.Record(Type.String(), intOrString(), {
        description:
          'What is set aside, by resource; `cpu` of a Wasm function is its weight beside others, in one process too (default 100m).',
      }),
    ),
    claims: Type.Optional(
      Type.Array(closed({ name: Type.String(), request: Type.Optional(Type.String()) }), {
        description: 'Dynamic resource claims.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    ),
  },
  { description: 'Memory and CPU, in Kubernetes quantities.' },
);

/** Which function a trigger or a destination means. */
export const functionReferenceSchema = closed(
  {
    type: Type.Optional(
      choice(['name', 'function-weights'], {
        description: 'By `name` (the default), or several by weight.',
      }),
    ),
    name: Type.Optional(
      Type.String({ maxLength: DNS_LABEL_MAX_LENGTH, description: 'The function, in the same namespace.' }),
    ),
    alias: Type.Optional(
      Type.String({ maxLength: DNS_LABEL_MAX_LENGTH, description: 'FunctionAlias to follow.' }),
    ),
    version: Type.Optional(
      Type.String({ maxLength: DNS_LABEL_MAX_LENGTH, description: 'FunctionVersion to stay at.' }),
    ),
    functionweights: Type.Optional(
      nullable(
        Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
          maxProperties: 100,
          description: 'Function name to weight, for `function-weights`.',
        }),
      ),
    ),
  },
  { description: 'The function that is called.', ...rules(...FUNCTION_REFERENCE_RULES) },
);

export type FunctionReference = Static<typeof functionReferenceSchema>;
export type Resources = Static<typeof resourcesSchema>;

export const HTTP_METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
] as const;
