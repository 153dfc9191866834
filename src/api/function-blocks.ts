/** Blocks of a Function's spec that are about its calls, its state and its versions. */
import Type from 'typebox';
import {
  DESTINATION_RULES,
  RETRY_RULES,
  STATE_RULES,
  STREAMING_RULES,
  TOOL_RULES,
} from './function-rules.ts';
import { DNS_LABEL_MAX_LENGTH } from './names.ts';
import { durationRule, rules } from './rules.ts';
import { choice, closed, functionReferenceSchema } from './schema.ts';

/** 24 days: timers take no more. */
export const MAX_SECONDS = 24 * 24 * 3600;

export const streamingSchema = closed(
  {
    protocol: Type.Optional(
      choice(['auto', 'sse', 'chunked', 'websocket'], { default: 'auto', description: 'Kind of stream.' }),
    ),
    idleTimeoutSeconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: MAX_SECONDS, description: 'Longest silence; 0 for the default.' }),
    ),
    maxDurationSeconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: MAX_SECONDS, description: 'Longest stream; 0 for no limit.' }),
    ),
  },
  { description: 'Limits of streams.', ...rules(...STREAMING_RULES) },
);

export const toolSchema = closed(
  {
    description: Type.Optional(Type.String({ maxLength: 65_536, description: 'What the tool does.' })),
    inputSchema: Type.Optional(
      Type.Unsafe<unknown>({
        description: 'JSON Schema of the arguments.',
        'x-kubernetes-preserve-unknown-fields': true,
      }),
    ),
    toolName: Type.Optional(
      Type.String({ pattern: '^[a-zA-Z0-9_-]{1,64}$', description: 'Name instead of namespace-function.' }),
    ),
    alias: Type.Optional(Type.String({ maxLength: DNS_LABEL_MAX_LENGTH, description: 'FunctionAlias.' })),
  },
  { description: 'The function as an MCP tool.', ...rules(...TOOL_RULES) },
);

export const stateSchema = closed(
  {
    keyspace: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$',
        maxLength: 63,
        description: "Default: the function's name.",
      }),
    ),
    defaultTTL: Type.Optional(
      Type.String({ maxLength: 64, description: 'How long a key lives, e.g. `24h`.' }),
    ),
    maxValueBytes: Type.Optional(
      Type.Integer({ format: 'int64', minimum: 0, description: 'Largest value.' }),
    ),
    maxKeys: Type.Optional(Type.Integer({ format: 'int64', minimum: 0, description: 'Most keys.' })),
    backend: Type.Optional(Type.String({ description: 'Named store.' })),
    sticky: Type.Optional(
      closed(
        {
          source: choice(['header', 'queryparam'], { description: 'Where the key is.' }),
          name: Type.String({ minLength: 1, description: 'Header or parameter.' }),
        },
        { description: 'Same key, same instance.' },
      ),
    ),
  },
  { description: 'Keyed state of the function.', ...rules(...STATE_RULES) },
);

const destination = (description: string) =>
  Type.Optional(
    closed(
      {
        function: Type.Optional(functionReferenceSchema),
        topic: Type.Optional(
          closed(
            {
              messageQueueType: Type.Unsafe<string>(
                choice(['statestore', 'kafka'], { description: '`statestore` or `kafka`.' }),
              ),
              topic: Type.String({ maxLength: 249, pattern: '^[a-zA-Z0-9._-]+$' }),
            },
            { description: 'A topic that gets the result.' },
          ),
        ),
      },
      { description, ...rules(...DESTINATION_RULES) },
    ),
  );

export const invocationSchema = closed(
  {
    retry: Type.Optional(
      closed(
        {
          maxAttempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 3, description: '1 to 3.' })),
          backoffBase: Type.Optional(Type.String({ maxLength: 64, description: 'First delay.' })),
          backoffCap: Type.Optional(Type.String({ maxLength: 64, description: 'Longest delay.' })),
          jitter: Type.Optional(Type.Boolean({ description: 'Default true.' })),
        },
        { description: 'How delivery is tried again.', ...rules(...RETRY_RULES) },
      ),
    ),
    maxAge: Type.Optional(
      Type.String({ maxLength: 64, description: 'Given up after, e.g. `1h`; 168h at most.' }),
    ),
    onSuccess: destination('Gets the result.'),
    onFailure: destination('Gets what failed for good.'),
  },
  {
    description: 'Asynchronous invocation.',
    ...rules([
      durationRule('maxAge', "d > duration('0s') && d <= duration('168h')"),
      'must be a duration over 0 and 168h at most',
      '.maxAge',
    ]),
  },
);

export const provisionedConcurrencySchema = closed(
  {
    target: Type.Integer({ minimum: 1, description: 'Instances kept warm.' }),
    windows: Type.Optional(
      Type.Array(
        closed({
          name: Type.String({ minLength: 1, maxLength: 63 }),
          start: Type.String({ minLength: 1, description: 'Cron expression.' }),
          duration: Type.String({ pattern: '^[0-9]+(ns|us|µs|ms|s|m|h)$', description: 'E.g. `12h`.' }),
          target: Type.Integer({ minimum: 0, description: 'Instances kept warm meanwhile.' }),
        }),
        {
          maxItems: 32,
          description: 'Times with another target.',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
        },
      ),
    ),
  },
  { description: 'Instances kept warm.' },
);

export const versioningSchema = closed(
  {
    mode: Type.Optional(
      choice(['auto', 'manual'], { default: 'auto', description: 'When versions are made.' }),
    ),
    retain: Type.Optional(Type.Integer({ minimum: 1, description: 'Versions kept.' })),
  },
  { description: 'Immutable versions.' },
);
