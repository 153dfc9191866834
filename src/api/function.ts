/** Function: a Package in an Environment, with a strategy, limits, secrets and variables. */
import Type from 'typebox';
import type { Static } from 'typebox';
import {
  HTTP_METHODS,
  choice,
  closed,
  conditionsSchema,
  dnsLabel,
  optionalDnsLabel,
  kindSchema,
  nullable,
  observedGenerationSchema,
  resourcesSchema,
  podSpec,
  untypedList,
  untypedObject,
} from './schema.ts';
import { ENV_FROM_RULES, ENV_RULES, FUNCTION_RULES, MOUNT_RULES, PACKAGE_RULES } from './function-rules.ts';
import {
  invocationSchema,
  MAX_SECONDS,
  provisionedConcurrencySchema,
  stateSchema,
  streamingSchema,
  toolSchema,
  versioningSchema,
} from './function-blocks.ts';
import { routePathRules, rules } from './rules.ts';
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
