/** Function: a Package in an Environment, with a strategy, limits, secrets and variables. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { DNS_LABEL_MAX_LENGTH } from './names.ts';
import {
  HTTP_METHODS,
  choice,
  closed,
  conditionsSchema,
  dnsLabel,
  optionalDnsLabel,
  functionReferenceSchema,
  kindSchema,
  nullable,
  observedGenerationSchema,
  resourcesSchema,
  podSpec,
  untypedList,
  untypedObject,
} from './schema.ts';
import {
  DESTINATION_RULES,
  ENV_FROM_RULES,
  ENV_RULES,
  FUNCTION_RULES,
  MOUNT_RULES,
  PACKAGE_RULES,
  RETRY_RULES,
  STATE_RULES,
  STREAMING_RULES,
  TOOL_RULES,
} from './function-rules.ts';
import { durationRule, routePathRules, rules } from './rules.ts';
import { wasmBlockSchema } from './wasm-block.ts';

const environmentSchema = closed(
  {
    name: Type.Optional(optionalDnsLabel('The Environment.')),
    namespace: Type.Optional(Type.String({ description: "Only the function's own." })),
    version: Type.Optional(
      Type.Unsafe<string | number>({
        anyOf: [{ type: 'string' }, { type: 'number' }],
        description: 'Short form: language version, e.g. 3.9.',
      }),
    ),
  },
  { description: 'What runs the function.' },
);

const packageSchema = closed(
  {
    packageref: Type.Optional(
      closed(
        {
          name: Type.Optional(optionalDnsLabel('The Package.')),
          namespace: Type.Optional(Type.String({ description: "Only the function's own." })),
          resourceversion: Type.Optional(Type.String({ description: 'Changes to deploy anew.' })),
        },
        { description: 'The package.' },
      ),
    ),
    functionName: Type.Optional(Type.String({ description: 'Entry point within the package.' })),
    functionref: Type.Optional(
      closed(
        {
          name: dnsLabel('The Package.'),
          namespace: Type.Optional(Type.String({ description: "Only the function's own." })),
          resource: Type.Optional(
            Type.String({ description: 'File in it; the whole package where there is none such.' }),
          ),
        },
        { description: 'Short form: the package and the file in it.' },
      ),
    ),
  },
  { description: 'The code.', ...rules(...PACKAGE_RULES) },
);

/** 24 days: timers take no more. */
const MAX_SECONDS = 24 * 24 * 3600;
/** Bounds, so that an API server can tell beforehand what rules cost. */
const MAX_ENTRIES = 200;

const mounted = (what: string) =>
  Type.Optional(
    nullable(
      Type.Array(
        closed(
          {
            name: dnsLabel(`The ${what}.`),
            namespace: Type.Optional(Type.String({ description: "Only the function's own." })),
            mountPath: Type.Optional(
              Type.String({ maxLength: 1024, description: 'Relative folder to put it in.' }),
            ),
          },
          rules(...MOUNT_RULES),
        ),
        {
          maxItems: MAX_ENTRIES,
          description: `${what}s that the function may read.`,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
        },
      ),
    ),
  );

const keySelector = (what: string) =>
  closed(
    {
      name: Type.Optional(Type.String({ default: '', description: `The ${what}.` })),
      key: Type.String({ description: 'The key in it.' }),
      optional: Type.Optional(Type.Boolean({ description: 'It may be missing.' })),
    },
    { description: `One key of a ${what}.` },
  );

const envVarSchema = closed(
  {
    name: Type.String({ maxLength: 1024, description: 'Name of the variable.' }),
    value: Type.Optional(Type.String({ description: 'The value itself.' })),
    valueFrom: Type.Optional(
      closed(
        {
          secretKeyRef: Type.Optional(keySelector('Secret')),
          configMapKeyRef: Type.Optional(keySelector('ConfigMap')),
          fieldRef: Type.Optional(untypedObject('Refused: pod fields.')),
          resourceFieldRef: Type.Optional(untypedObject('Refused: pod resources.')),
          fileKeyRef: Type.Optional(untypedObject('Refused: files of the pod.')),
        },
        { description: 'Where the value comes from.' },
      ),
    ),
  },
  rules(...ENV_RULES),
);

const objectSelector = (what: string) =>
  closed(
    {
      name: Type.Optional(Type.String({ default: '', description: `The ${what}.` })),
      optional: Type.Optional(Type.Boolean({ description: 'It may be missing.' })),
    },
    { description: `Every key of a ${what}.` },
  );

const envFromSchema = closed(
  {
    prefix: Type.Optional(Type.String({ maxLength: 1024, description: 'Before every name.' })),
    secretRef: Type.Optional(objectSelector('Secret')),
    configMapRef: Type.Optional(objectSelector('ConfigMap')),
  },
  rules(...ENV_FROM_RULES),
);

const invokeStrategySchema = closed(
  {
    ExecutionStrategy: Type.Optional(
      closed(
        {
          ExecutorType: Type.Optional(
            choice(['', 'poolmgr', 'newdeploy', 'container'], { description: 'Default `poolmgr`.' }),
          ),
          MinScale: Type.Optional(Type.Integer({ description: 'Fewest pods (newdeploy, container).' })),
          MaxScale: Type.Optional(Type.Integer({ description: 'Most pods (newdeploy, container).' })),
          TargetCPUPercent: Type.Optional(Type.Integer({ description: 'Use `hpaMetrics`.' })),
          SpecializationTimeout: Type.Optional(
            Type.Integer({ description: 'Seconds that a cold start may take.' }),
          ),
          hpaMetrics: Type.Optional(untypedList('What the autoscaler looks at (autoscaling/v2 metrics).')),
          hpaBehavior: Type.Optional(untypedObject('How the autoscaler moves (autoscaling/v2 behavior).')),
        },
        { description: 'Which executor, and its scale.' },
      ),
    ),
    StrategyType: Type.Optional(choice(['', 'execution'], { description: '`execution`.' })),
  },
  { description: 'How the function is run.' },
);

const streamingSchema = closed(
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

const toolSchema = closed(
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

const stateSchema = closed(
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

const invocationSchema = closed(
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

const provisionedConcurrencySchema = closed(
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

const versioningSchema = closed(
  {
    mode: Type.Optional(
      choice(['auto', 'manual'], { default: 'auto', description: 'When versions are made.' }),
    ),
    retain: Type.Optional(Type.Integer({ minimum: 1, description: 'Versions kept.' })),
  },
  { description: 'Immutable versions.' },
);

const routeSchema = closed(
  {
    url: Type.String({ maxLength: 4096, description: 'Path to match.' }),
    methods: Type.Optional(Type.Array(choice(HTTP_METHODS), { description: 'Default GET.' })),
  },
  {
    description: 'Short form: an HTTPTrigger that the function owns.',
    ...rules(["self.url.startsWith('/')", 'must start with /', '.url'], ...routePathRules('url')),
  },
);

const specSchema = closed(
  {
    environment: environmentSchema,
    package: Type.Optional(packageSchema),
    route: Type.Optional(routeSchema),
    wasm: Type.Optional(wasmBlockSchema),
    secrets: mounted('Secret'),
    configmaps: mounted('ConfigMap'),
    env: Type.Optional(
      nullable(
        Type.Array(envVarSchema, {
          maxItems: 1000,
          description: 'Environment variables; win over `envFrom`.',
        }),
      ),
    ),
    envFrom: Type.Optional(
      nullable(
        Type.Array(envFromSchema, {
          maxItems: MAX_ENTRIES,
          description: 'Secrets and ConfigMaps as environment variables.',
        }),
      ),
    ),
    resources: Type.Optional(resourcesSchema),
    InvokeStrategy: Type.Optional(invokeStrategySchema),
    functionTimeout: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_SECONDS,
        description: 'Seconds to the first byte of the answer; default 60.',
      }),
    ),
    idletimeout: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_SECONDS,
        description: 'Seconds that an idle pod or instance stays.',
      }),
    ),
    concurrency: Type.Optional(
      Type.Integer({ minimum: 0, description: 'Most pods or instances at once; default 500.' }),
    ),
    requestsPerPod: Type.Optional(
      Type.Integer({ minimum: 0, description: 'Requests in each at once; default 1.' }),
    ),
    onceOnly: Type.Optional(Type.Boolean({ description: 'A clean instance for each request.' })),
    retainPods: Type.Optional(Type.Integer({ minimum: 0, description: 'Specialised pods kept when idle.' })),
    streaming: Type.Optional(streamingSchema),
    tool: Type.Optional(toolSchema),
    state: Type.Optional(stateSchema),
    invocation: Type.Optional(invocationSchema),
    provisionedConcurrency: Type.Optional(provisionedConcurrencySchema),
    versioning: Type.Optional(versioningSchema),
    podspec: Type.Optional(podSpec('The pod of executor `container` (a Kubernetes PodSpec).')),
  },
  { description: 'What runs and how.', ...rules(...FUNCTION_RULES) },
);

const count = (description: string) => Type.Optional(Type.Integer({ description }));

const statusSchema = closed(
  {
    observedGeneration: Type.Optional(observedGenerationSchema),
    provisionedReady: count('Warm instances.'),
    provisionedTarget: count('Warm instances aimed at.'),
    provisionedSpecTarget: count('Warm instances asked for.'),
    conditions: Type.Optional(conditionsSchema),
  },
  { description: 'Observed state.' },
);

export const functionSchema = kindSchema('Function', 'Code that answers calls.', specSchema, statusSchema);

export type FissionFunction = Static<typeof functionSchema>;
