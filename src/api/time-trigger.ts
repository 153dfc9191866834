/** TimeTrigger: calls a function on a schedule. Kept and checked; not served yet. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { checkFunctionReference, checkMetadata, collect } from './checks.ts';
import type { Report } from './checks.ts';
import { CRON_PATTERN, CRON_WORDS, isCron, splitCron } from './cron.ts';
import { withoutNulls } from './defaults.ts';
import { deepFreeze } from './json.ts';
import { AGE_COLUMN, READY_COLUMN, REASON_COLUMN } from './kind.ts';
import type { KindDefinition } from './kind.ts';
import { functionsOf, refuseInvalid, resolvedBase } from './resolve.ts';
import type { ResolvedTimeTrigger } from './resolved.ts';
import { raw, rules, textOf } from './rules.ts';
import {
  HTTP_METHODS,
  closed,
  functionReferenceSchema,
  kindSchema,
  conditionsStatusSchema,
} from './schema.ts';
import { createValidator } from './validate.ts';

const specSchema = closed(
  {
    cron: Type.String({
      maxLength: 256,
      description:
        'When: 5 fields, 6 with seconds first, `@daily`, `@every 5m`; `TZ=Europe/Berlin` may stand before.',
      ...rules([`self.matches(${raw(CRON_PATTERN)})`, `must be ${CRON_WORDS}`]),
    }),
    functionref: functionReferenceSchema,
    method: Type.Optional(
      Type.String({ maxLength: 16, default: 'POST', description: 'HTTP method of the call.' }),
    ),
    subpath: Type.Optional(
      Type.String({ maxLength: 4096, default: '/', description: 'Path that the function sees.' }),
    ),
  },
  {
    description: 'When which function is called.',
    ...rules([
      `${textOf('method')} == '' || self.method.upperAscii() in [${HTTP_METHODS.map((name) => `'${name}'`).join(', ')}]`,
      `must be one of ${HTTP_METHODS.join(', ')}`,
      '.method',
    ]),
  },
);

export const timeTriggerSchema = kindSchema(
  'TimeTrigger',
  'Calls a function on a schedule. Kept; not served yet.',
  specSchema,
  conditionsStatusSchema,
);

export type TimeTrigger = Static<typeof timeTriggerSchema>;

function checkTrigger({ metadata, spec }: TimeTrigger, report: Report): void {
  checkMetadata(metadata, report);
  if (!isCron(spec.cron)) report('spec.cron', `must be ${CRON_WORDS}, but is ${JSON.stringify(spec.cron)}`);
  checkFunctionReference('spec.functionref', spec.functionref, report);
  const { method = '' } = spec;
  if (method !== '' && !(HTTP_METHODS as readonly string[]).includes(method.toUpperCase())) {
    report('spec.method', `must be one of ${HTTP_METHODS.join(', ')}, but is "${method}"`);
  }
}

const validate = createValidator<TimeTrigger>(timeTriggerSchema, (trigger) =>
  collect((report) => checkTrigger(trigger, report)),
);

export const timeTriggerKind: KindDefinition = {
  kind: 'TimeTrigger',
  plural: 'timetriggers',
  singular: 'timetrigger',
  shortNames: ['tt'],
  listKind: 'TimeTriggerList',
  schema: timeTriggerSchema,
  printerColumns: [
    { name: 'Cron', type: 'string', jsonPath: '.spec.cron' },
    { name: 'Function', type: 'string', jsonPath: '.spec.functionref.name' },
    { name: 'Method', type: 'string', jsonPath: '.spec.method', priority: 1 },
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
export function resolveTimeTrigger(trigger: TimeTrigger): ResolvedTimeTrigger {
  refuseInvalid('TimeTrigger', trigger, validate(trigger));
  // Accepted, so without its nulls it has the type of the schema.
  const object = withoutNulls(timeTriggerSchema, trigger) as TimeTrigger;
  const { cron, method = '', subpath = '', functionref } = object.spec;
  return deepFreeze({
    ...resolvedBase(object),
    ...splitCron(cron),
    method: method === '' ? 'POST' : method.toUpperCase(),
    subpath: subpath.startsWith('/') ? subpath : `/${subpath}`,
    functions: functionsOf(functionref),
    notServed: ['spec'],
  });
}
