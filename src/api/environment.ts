/** Environment: how code of a kind runs. `spec.runtime.image: wasm` makes it a Wasm environment. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { checkMetadata, collect } from './checks.ts';
import type { Report } from './checks.ts';
import { withoutNulls } from './defaults.ts';
import { deepFreeze, describe, isObject } from './json.ts';
import { AGE_COLUMN, READY_COLUMN, REASON_COLUMN } from './kind.ts';
import type { FieldError, KindDefinition } from './kind.ts';
import { checkContainer, checkPodSpec } from './pod-safety.ts';
import { refuseInvalid, resolvedBase, setFields } from './resolve.ts';
import type { ResolvedEnvironment } from './resolved.ts';
import { checkResources, resolveResources } from './resources.ts';
import { rules } from './rules.ts';
import {
  checkScalingBlock,
  readScalingAnnotations,
  resolveScaling,
  scalingBlockSchema,
} from './scaling-settings.ts';
import {
  choice,
  closed,
  conditionsStatusSchema,
  container,
  kindSchema,
  podSpec,
  resourcesSchema,
} from './schema.ts';
import { createValidator } from './validate.ts';

/** The image that makes an environment a Wasm one. */
const WASM_IMAGE = 'wasm';
export const DEFAULT_TERMINATION_GRACE_S = 90;
/** Before version 3 of the interface there is no pool size; Fission then keeps three pods. */
const POOL_SIZE_VERSION = 3;
const POOL_SIZE_BEFORE = 3;

const runtimeSchema = closed(
  {
    image: Type.String({
      minLength: 1,
      description: '`wasm`, or the container image of the language runtime.',
    }),
    container: Type.Optional(container('Changes to the runtime container (a Kubernetes Container).')),
    podspec: Type.Optional(podSpec('Changes to the runtime pod (a Kubernetes PodSpec).')),
  },
  { description: 'What runs the code.' },
);

const builderSchema = closed(
  {
    image: Type.Optional(Type.String({ description: 'Container image that builds source packages.' })),
    command: Type.Optional(Type.String({ description: 'Build command where the package has none.' })),
    container: Type.Optional(container('Changes to the builder container (a Kubernetes Container).')),
    podspec: Type.Optional(podSpec('Changes to the builder pod (a Kubernetes PodSpec).')),
  },
  { description: 'What builds source packages.' },
);

const specSchema = closed(
  {
    version: Type.Integer({
      minimum: 1,
      maximum: 3,
      description: "Fission's environment interface: 1, 2 (with builder) or 3 (with pool size). Fixed.",
      ...rules(['self == oldSelf', 'cannot change; delete the environment and create it anew']),
    }),
    runtime: runtimeSchema,
    builder: Type.Optional(builderSchema),
    allowedFunctionsPerContainer: Type.Optional(
      choice(['single', 'infinite'], { description: 'How many functions one pod loads.' }),
    ),
    allowAccessToExternalNetwork: Type.Optional(
      Type.Boolean({ description: 'Whether pods reach outside the mesh.' }),
    ),
    resources: Type.Optional(resourcesSchema),
    poolsize: Type.Optional(
      Type.Integer({ minimum: 0, description: 'Generic pods (or Wasm hosts) kept ready.' }),
    ),
    terminationGracePeriod: Type.Optional(
      Type.Integer({
        format: 'int64',
        minimum: 0,
        // No default in the schema: Fission has none there, and its CLI would take the object for changed.
        description: `Seconds that a pod keeps serving while it ends; ${DEFAULT_TERMINATION_GRACE_S} where it is not given.`,
      }),
    ),
    keeparchive: Type.Optional(Type.Boolean({ description: 'Hand archives over unextracted (.jar).' })),
    imagepullsecret: Type.Optional(Type.String({ description: 'Secret for pulling the images.' })),
    scaling: Type.Optional(scalingBlockSchema),
  },
  { description: 'How code of this kind is built and run.' },
);

export const environmentSchema = kindSchema(
  'Environment',
  'How code of a kind is built and run.',
  specSchema,
  conditionsStatusSchema,
);

export type Environment = Static<typeof environmentSchema>;

function checkEnvironment({ metadata, spec }: Environment, report: Report): void {
  checkMetadata(metadata, report);
  const { runtime, builder = {}, resources, scaling } = spec;
  if (runtime.image === '') report('spec.runtime.image', 'must not be empty: "wasm", or a container image');
  for (const [path, part] of Object.entries({ 'spec.runtime': runtime, 'spec.builder': builder })) {
    checkPodSpec(`${path}.podspec`, part.podspec, report);
    checkContainer(`${path}.container`, part.container, report);
  }
  checkContainerNames(metadata.name, runtime, report);
  checkResources('spec.resources', resources, report);
  if (scaling !== undefined) checkScalingBlock('spec.scaling', scaling, report);
}

/** A container of the pod spec that is to be the runtime is recognised by its name. */
function checkContainerNames(name: string, runtime: Environment['spec']['runtime'], report: Report): void {
  const containers = runtime.podspec?.['containers'];
  if (!Array.isArray(containers)) return;
  containers.forEach((container: unknown, index) => {
    if (!isObject(container) || (container['command'] ?? null) !== null) return;
    if (container['image'] === runtime.image && container['name'] !== name) {
      report(
        `spec.runtime.podspec.containers[${index}].name`,
        `must be "${name}", like the environment, because its image is the runtime's`,
      );
    }
  });
}

const validate = createValidator<Environment>(environmentSchema, (environment) => [
  ...readScalingAnnotations(environment.metadata.annotations ?? {}).errors,
  ...collect((report) => checkEnvironment(environment, report)),
]);

/** Fission fixes `spec.version` at creation. */
function validateUpdate(stored: unknown, object: unknown): FieldError[] {
  const [before, after] = [versionOf(stored), versionOf(object)];
  if (before === undefined || after === undefined || before === after) return [];
  return [
    {
      path: 'spec.version',
      message: `cannot change from ${describe(before)} to ${describe(after)}; delete the environment and create it anew`,
    },
  ];
}

function versionOf(object: unknown): unknown {
  return isObject(object) && isObject(object['spec']) ? object['spec']['version'] : undefined;
}

export const environmentKind: KindDefinition = {
  kind: 'Environment',
  plural: 'environments',
  singular: 'environment',
  shortNames: ['env'],
  listKind: 'EnvironmentList',
  schema: environmentSchema,
  printerColumns: [
    { name: 'Image', type: 'string', jsonPath: '.spec.runtime.image' },
    { name: 'Builder', type: 'string', jsonPath: '.spec.builder.image', priority: 1 },
    { name: 'Poolsize', type: 'integer', jsonPath: '.spec.poolsize', priority: 1 },
    READY_COLUMN,
    REASON_COLUMN,
    AGE_COLUMN,
  ],
  validate,
  validateUpdate,
};

/**
 * The environment with its defaults, frozen.
 * @throws FissiumError RESOURCE_INVALID where the object would not have been accepted.
 */
export function resolveEnvironment(environment: Environment): ResolvedEnvironment {
  refuseInvalid('Environment', environment, validate(environment));
  // Accepted, so without its nulls it has the type of the schema.
  const object = withoutNulls(environmentSchema, environment) as Environment;
  const { spec } = object;
  const { image } = spec.runtime;
  const builder = {
    image: spec.builder?.image ?? '',
    command: spec.builder?.command ?? '',
    env: variablesOf(spec.builder?.container),
  };
  return deepFreeze({
    ...resolvedBase(object),
    image,
    wasm: image === WASM_IMAGE,
    version: spec.version,
    poolSize: spec.version < POOL_SIZE_VERSION ? POOL_SIZE_BEFORE : (spec.poolsize ?? 0),
    scaling: resolveScaling(spec.scaling, object.metadata.annotations ?? {}),
    builder: builder.image === '' ? null : builder,
    keepArchive: spec.keeparchive ?? false,
    terminationGracePeriodMs: (spec.terminationGracePeriod ?? DEFAULT_TERMINATION_GRACE_S) * 1000,
    container: spec.runtime.container ?? null,
    podSpec: spec.runtime.podspec ?? null,
    resources: resolveResources(spec.resources),
    imagePullSecret: spec.imagepullsecret ?? '',
    notServed: notServed(spec),
  });
}

/** The variables of a container that have a value themselves. */
function variablesOf(container: object | undefined): [string, string][] {
  const { env } = (container ?? {}) as { env?: unknown };
  if (!Array.isArray(env)) return [];
  return env.flatMap((item: unknown): [string, string][] => {
    if (!isObject(item)) return [];
    const { name, value } = item;
    return typeof name === 'string' && typeof value === 'string' ? [[name, value]] : [];
  });
}

function notServed(spec: Environment['spec']): string[] {
  return setFields({
    'spec.runtime.image': spec.runtime.image !== WASM_IMAGE,
    'spec.runtime.container': spec.runtime.container,
    'spec.runtime.podspec': spec.runtime.podspec,
    'spec.builder.podspec': spec.builder?.podspec,
    'spec.allowedFunctionsPerContainer': spec.allowedFunctionsPerContainer === 'infinite',
    'spec.allowAccessToExternalNetwork': spec.allowAccessToExternalNetwork,
    'spec.resources': spec.resources,
    'spec.imagepullsecret': spec.imagepullsecret,
  });
}
