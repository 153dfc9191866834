/** MessageQueueTrigger: calls a function for the messages of a topic. Kept and checked; not served yet. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { checkFunctionReference, checkLabel, checkMetadata, collect } from './checks.ts';
import type { Report } from './checks.ts';
import { withoutNulls } from './defaults.ts';
import { deepFreeze } from './json.ts';
import { AGE_COLUMN, READY_COLUMN, REASON_COLUMN } from './kind.ts';
import type { KindDefinition } from './kind.ts';
import { whyNotReadable } from './platform-secrets.ts';
import { checkPodSpec } from './pod-safety.ts';
import { functionsOf, refuseInvalid, resolvedBase } from './resolve.ts';
import type { ResolvedMessageQueueTrigger } from './resolved.ts';
import { isLabel, numberOf, raw, rules, textOf } from './rules.ts';
import {
  choice,
  closed,
  functionReferenceSchema,
  kindSchema,
  podSpec,
  conditionsStatusSchema,
} from './schema.ts';
import { createValidator } from './validate.ts';

/** Those that Fission hands to KEDA. */
const KEDA_TYPES = [
  'kafka',
  'aws-sqs-queue',
  'aws-kinesis-stream',
  'gcp-pubsub',
  'stan',
  'rabbitmq',
  'redis',
  'nats-jetstream',
] as const;
/** Fission's own, and those that are ours. */
const QUEUE_TYPES = [...KEDA_TYPES, 'statestore', 'nats', 'mqtt'] as const;

/** Kafka's rule (org.apache.kafka.common.internals.Topic). */
const KAFKA_TOPIC = '^[a-zA-Z0-9._-]{1,249}$';
const kafkaTopic = new RegExp(KAFKA_TOPIC);
const KAFKA_WORDS = 'must be letters, digits, ".", "_" and "-", 249 at most, and not "." or ".."';

const TOPICS = ['topic', 'respTopic', 'errorTopic'] as const;

const topic = (description: string) => Type.String({ maxLength: 1024, description });
const int32 = (description: string) =>
  Type.Optional(Type.Integer({ format: 'int32', minimum: 0, maximum: 2 ** 31 - 1, description }));

const isKafka = `${textOf('mqtkind')} != 'keda' && self.messageQueueType == 'kafka'`;

const specSchema = closed(
  {
    functionref: functionReferenceSchema,
    messageQueueType: choice(QUEUE_TYPES, { description: 'What kind of queue.' }),
    topic: Type.String({ minLength: 1, maxLength: 1024, description: 'Topic that messages are taken from.' }),
    respTopic: Type.Optional(topic('Topic that gets the answers.')),
    errorTopic: Type.Optional(topic('Topic that gets what failed for good.')),
    maxRetries: Type.Optional(Type.Integer({ minimum: 0, description: 'Further tries of a message.' })),
    batchSize: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000, description: 'Messages in one call; default 1.' }),
    ),
    contentType: Type.Optional(Type.String({ description: "Messages' content type." })),
    pollingInterval: int32('Seconds between looks at the queue.'),
    cooldownPeriod: int32('Seconds without messages before the consumer is stopped.'),
    minReplicaCount: int32('Fewest consumers.'),
    maxReplicaCount: int32('Most consumers.'),
    metadata: Type.Optional(
      Type.Record(Type.String(), Type.String(), { description: 'Settings of the queue, by its own names.' }),
    ),
    secret: Type.Optional(
      Type.String({ maxLength: 63, description: 'Secret with the credentials for the queue.' }),
    ),
    mqtkind: Type.Optional(
      choice(['', 'fission', 'keda'], {
        description: 'Who consumes; empty: `fission`, the platform itself.',
      }),
    ),
    podspec: Type.Optional(podSpec('Changes to the pod of the consumer (a Kubernetes PodSpec).')),
  },
  {
    description: 'Whose messages call which function.',
    ...rules(
      [
        `${textOf('mqtkind')} != 'keda' || self.messageQueueType in [${KEDA_TYPES.map((name) => `'${name}'`).join(', ')}]`,
        `must be one of ${KEDA_TYPES.join(', ')} where mqtkind is keda`,
        '.messageQueueType',
      ],
      ...TOPICS.map(
        (name) =>
          [
            `!(${isKafka}) || ${textOf(name)} == '' || (self.${name}.matches(${raw(KAFKA_TOPIC)}) && !(self.${name} in ['.', '..']))`,
            KAFKA_WORDS,
            `.${name}`,
          ] as const,
      ),
      [
        `!has(self.maxReplicaCount) || self.maxReplicaCount >= ${numberOf('minReplicaCount')}`,
        'must be minReplicaCount at least',
        '.maxReplicaCount',
      ],
      [
        `${textOf('secret')} == '' || ${isLabel('self.secret')}`,
        "must be lower-case letters, digits and '-'",
        '.secret',
      ],
    ),
  },
);

export const messageQueueTriggerSchema = kindSchema(
  'MessageQueueTrigger',
  'Calls a function for the messages of a topic. Kept; not served yet.',
  specSchema,
  conditionsStatusSchema,
);

export type MessageQueueTrigger = Static<typeof messageQueueTriggerSchema>;

function checkTrigger({ metadata, spec }: MessageQueueTrigger, report: Report): void {
  checkMetadata(metadata, report);
  checkFunctionReference('spec.functionref', spec.functionref, report);
  const { messageQueueType: type, secret = '', minReplicaCount: min = 0, maxReplicaCount: max } = spec;
  const isKeda = spec.mqtkind === 'keda';
  if (isKeda && !(KEDA_TYPES as readonly string[]).includes(type)) {
    report(
      'spec.messageQueueType',
      `must be one of ${KEDA_TYPES.join(', ')} where mqtkind is keda, but is "${type}"`,
    );
  }
  for (const name of TOPICS) {
    const text = spec[name] ?? '';
    if (text === '' || isKeda || type !== 'kafka') continue;
    if (!kafkaTopic.test(text) || text === '.' || text === '..') {
      report(`spec.${name}`, `${KAFKA_WORDS}, but is ${JSON.stringify(text.slice(0, 80))}`);
    }
  }
  if (max !== undefined && max < min) {
    report('spec.maxReplicaCount', `must be minReplicaCount (${min}) at least, but is ${max}`);
  }
  if (secret !== '') checkLabel('spec.secret', secret, report);
  const why = whyNotReadable(secret);
  if (why !== null) report('spec.secret', why);
  checkPodSpec('spec.podspec', spec.podspec, report);
}

const validate = createValidator<MessageQueueTrigger>(messageQueueTriggerSchema, (trigger) =>
  collect((report) => checkTrigger(trigger, report)),
);

export const messageQueueTriggerKind: KindDefinition = {
  kind: 'MessageQueueTrigger',
  plural: 'messagequeuetriggers',
  singular: 'messagequeuetrigger',
  shortNames: ['mqt'],
  listKind: 'MessageQueueTriggerList',
  schema: messageQueueTriggerSchema,
  printerColumns: [
    { name: 'Type', type: 'string', jsonPath: '.spec.messageQueueType' },
    { name: 'Topic', type: 'string', jsonPath: '.spec.topic' },
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
export function resolveMessageQueueTrigger(trigger: MessageQueueTrigger): ResolvedMessageQueueTrigger {
  refuseInvalid('MessageQueueTrigger', trigger, validate(trigger));
  // Accepted, so without its nulls it has the type of the schema.
  const object = withoutNulls(messageQueueTriggerSchema, trigger) as MessageQueueTrigger;
  const { spec } = object;
  return deepFreeze({
    ...resolvedBase(object),
    queueType: spec.messageQueueType,
    keda: spec.mqtkind === 'keda',
    topic: spec.topic,
    responseTopic: spec.respTopic ?? '',
    errorTopic: spec.errorTopic ?? '',
    maxRetries: spec.maxRetries ?? 0,
    batchSize: spec.batchSize ?? 1,
    contentType: spec.contentType ?? '',
    pollingIntervalS: spec.pollingInterval ?? null,
    cooldownPeriodS: spec.cooldownPeriod ?? null,
    minReplicas: spec.minReplicaCount ?? null,
    maxReplicas: spec.maxReplicaCount ?? null,
    settings: spec.metadata ?? {},
    secret: spec.secret ?? '',
    functions: functionsOf(spec.functionref),
    notServed: ['spec'],
  });
}
