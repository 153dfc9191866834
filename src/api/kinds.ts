/** All our kinds, and what is done with an object of any of them. */
import * as defaults from './defaults.ts';
import { environmentKind } from './environment.ts';
import { validateFunction } from './function-checks.ts';
import { functionSchema } from './function.ts';
import { httpTriggerKind } from './http-trigger.ts';
import { AGE_COLUMN, READY_COLUMN, REASON_COLUMN } from './kind.ts';
import type { KindDefinition } from './kind.ts';
import { kubernetesWatchTriggerKind } from './kubernetes-watch-trigger.ts';
import { messageQueueTriggerKind } from './message-queue-trigger.ts';
import { packageKind } from './package.ts';
import { timeTriggerKind } from './time-trigger.ts';

const functionKind: KindDefinition = {
  kind: 'Function',
  plural: 'functions',
  singular: 'function',
  shortNames: ['fn'],
  listKind: 'FunctionList',
  schema: functionSchema,
  printerColumns: [
    { name: 'Environment', type: 'string', jsonPath: '.spec.environment.name' },
    { name: 'Package', type: 'string', jsonPath: '.spec.package.packageref.name' },
    {
      name: 'Executor',
      type: 'string',
      jsonPath: '.spec.InvokeStrategy.ExecutionStrategy.ExecutorType',
      priority: 1,
    },
    READY_COLUMN,
    REASON_COLUMN,
    AGE_COLUMN,
  ],
  validate: validateFunction,
  validateUpdate: () => [],
};

export const KINDS: readonly KindDefinition[] = [
  environmentKind,
  functionKind,
  packageKind,
  httpTriggerKind,
  timeTriggerKind,
  messageQueueTriggerKind,
  kubernetesWatchTriggerKind,
];

/** The kind whose plural this is, e.g. `httptriggers`. */
export function kindByPlural(plural: string): KindDefinition | undefined {
  return KINDS.find((kind) => kind.plural === plural);
}

/** The kind of an object's `kind` field, e.g. `HTTPTrigger`. */
export function kindByName(name: string): KindDefinition | undefined {
  return KINDS.find((kind) => kind.kind === name);
}

/**
 * A copy with the schema's defaults filled in objects that are there, and nulls dropped where the field is
 * not nullable, as a Kubernetes API server does before it validates. Unknown fields stay.
 */
export function defaulted<T>(kind: KindDefinition, object: T): T {
  // Fills and drops optional fields only.
  return defaults.defaulted(kind.schema, object) as T;
}

/** A copy without the fields that `validate` calls unknown (fieldValidation Warn and Ignore). */
export function withoutUnknownFields<T>(kind: KindDefinition, object: T): T {
  // Drops what is not in the type.
  return defaults.withoutUnknown(kind.schema, object) as T;
}
