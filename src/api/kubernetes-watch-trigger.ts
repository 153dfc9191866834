/** KubernetesWatchTrigger: calls a function when objects of the cluster change. Kept and checked; not served yet. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { checkFunctionReference, checkMetadata, collect } from './checks.ts';
import type { Report } from './checks.ts';
import { joinPath, withoutNulls } from './defaults.ts';
import { deepFreeze } from './json.ts';
import { AGE_COLUMN, READY_COLUMN, REASON_COLUMN } from './kind.ts';
import type { KindDefinition } from './kind.ts';
import { isQualifiedName } from './names.ts';
import { functionsOf, refuseInvalid, resolvedBase } from './resolve.ts';
import type { ResolvedKubernetesWatchTrigger } from './resolved.ts';
import { raw, rules } from './rules.ts';
import { closed, dnsLabel, functionReferenceSchema, kindSchema, conditionsStatusSchema } from './schema.ts';
import { createValidator } from './validate.ts';

const WATCHED_TYPES = ['POD', 'SERVICE', 'REPLICATIONCONTROLLER', 'JOB'] as const;
const TYPE_WORDS = `must be one of ${WATCHED_TYPES.join(', ')}, in any case`;

/** Kubernetes' rule for the value of a label, empty ones apart. */
const LABEL_VALUE = '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$';
const labelValue = new RegExp(LABEL_VALUE);

const specSchema = closed(
  {
    namespace: dnsLabel('Namespace that is watched.'),
    type: Type.String({
      maxLength: 63,
      description: 'What is watched: Pod, Service, ReplicationController or Job.',
      ...rules([`self.upperAscii() in [${WATCHED_TYPES.map((name) => `'${name}'`).join(', ')}]`, TYPE_WORDS]),
    }),
    labelselector: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 63 }), {
        maxProperties: 100,
        description: 'Labels that the objects must have.',
        ...rules([
          `self.all(name, self[name].matches(${raw(LABEL_VALUE)}))`,
          'must have values as labels have them',
        ]),
      }),
    ),
    functionref: functionReferenceSchema,
  },
  { description: 'Whose changes call which function.' },
);

export const kubernetesWatchTriggerSchema = kindSchema(
  'KubernetesWatchTrigger',
  'Calls a function when objects of the cluster change. Kept; not served yet.',
  specSchema,
  conditionsStatusSchema,
);

export type KubernetesWatchTrigger = Static<typeof kubernetesWatchTriggerSchema>;

function checkTrigger({ metadata, spec }: KubernetesWatchTrigger, report: Report): void {
  checkMetadata(metadata, report);
  checkFunctionReference('spec.functionref', spec.functionref, report);
  if (!(WATCHED_TYPES as readonly string[]).includes(spec.type.toUpperCase())) {
    report('spec.type', `${TYPE_WORDS}, but is "${spec.type}"`);
  }
  for (const [name, value] of Object.entries(spec.labelselector ?? {})) {
    const path = joinPath('spec.labelselector', name);
    if (!isQualifiedName(name)) report(path, 'must have a name as labels have them');
    if (!labelValue.test(value)) {
      report(path, `must be letters, digits, "-", "_" and ".", 63 at most, but is ${JSON.stringify(value)}`);
    }
  }
}

const validate = createValidator<KubernetesWatchTrigger>(kubernetesWatchTriggerSchema, (trigger) =>
  collect((report) => checkTrigger(trigger, report)),
);

export const kubernetesWatchTriggerKind: KindDefinition = {
  kind: 'KubernetesWatchTrigger',
  plural: 'kuberneteswatchtriggers',
  singular: 'kuberneteswatchtrigger',
  shortNames: ['kwt'],
  listKind: 'KubernetesWatchTriggerList',
  schema: kubernetesWatchTriggerSchema,
  printerColumns: [
    { name: 'Watches', type: 'string', jsonPath: '.spec.type' },
    { name: 'In', type: 'string', jsonPath: '.spec.namespace' },
    { name: 'Function', type: 'string', jsonPath: '.spec.functionref.name' },
    READY_COLUMN,
    REASON_COLUMN,
    AGE_COLUMN,
  ],
  validate,
  validateUpdate: () => [],
};

/**
 * The trigger with its defaults, frozen.
 * @throws FissiumError RESOURCE_INVALID where the object would not have been accepted.
 */
export function resolveKubernetesWatchTrigger(
  trigger: KubernetesWatchTrigger,
): ResolvedKubernetesWatchTrigger {
  refuseInvalid('KubernetesWatchTrigger', trigger, validate(trigger));
  // Accepted, so without its nulls it has the type of the schema.
  const object = withoutNulls(kubernetesWatchTriggerSchema, trigger) as KubernetesWatchTrigger;
  const { spec } = object;
  return deepFreeze({
    ...resolvedBase(object),
    watches: spec.type.toUpperCase(),
    watchedNamespace: spec.namespace,
    labels: spec.labelselector ?? {},
    functions: functionsOf(spec.functionref),
    notServed: ['spec'],
  });
}
