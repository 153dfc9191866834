/** Objects that, together, have every field of their kinds set, defaults written out: they come back unchanged. */
import type { FissionFunction, KindName } from '../index.ts';

export interface FullObject {
  readonly apiVersion: 'fission.io/v1';
  readonly kind: KindName;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

const full = (kind: KindName, name: string, spec: FullObject['spec']): FullObject => ({
  apiVersion: 'fission.io/v1',
  kind,
  metadata: { name, namespace: 'default' },
  spec,
});

const podspec = {
  containers: [{ name: 'runtime', image: 'a', securityContext: { runAsUser: 1000, privileged: false } }],
  volumes: [{ name: 'cache', emptyDir: {} }],
  tolerations: [{ key: 'a', operator: 'Exists' }],
  terminationGracePeriodSeconds: 30,
};
const container = {
  name: 'runtime',
  env: [{ name: 'A', value: 'b' }],
  securityContext: { runAsNonRoot: true },
};
const resources = {
  limits: { memory: '64Mi', cpu: '500m' },
  requests: { cpu: 1 },
  claims: [{ name: 'gpu', request: 'one' }],
};
const byWeight = { type: 'function-weights', name: '', functionweights: { a: 90, b: 10 } };
const sum = { type: 'sha256', sum: '0'.repeat(64) };
const oci = {
  image: 'a.example/code',
  digest: `sha256:${'0'.repeat(64)}`,
  subPath: 'code',
  imagePullSecrets: [{ name: 'registry' }],
};

/** All that a function of executor poolmgr may have beside its environment and package. */
export const EVERY_BLOCK: Partial<FissionFunction['spec']> = {
  secrets: [{ name: 'db', namespace: 'default', mountPath: 'creds' }],
  configmaps: [{ name: 'settings', namespace: 'default' }],
  env: [
    { name: 'MODE', value: 'fast' },
    { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'db', key: 'token', optional: true } } },
    { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'colour', optional: false } } },
  ],
  envFrom: [
    { prefix: 'DB_', secretRef: { name: 'db' } },
    { configMapRef: { name: 'settings', optional: true } },
    { secretRef: { name: 'other', optional: false } },
  ],
  resources: {
    limits: { memory: '64Mi', cpu: '500m' },
    requests: { cpu: 1 },
    claims: [{ name: 'gpu', request: 'one' }],
  },
  InvokeStrategy: {
    StrategyType: 'execution',
    ExecutionStrategy: {
      ExecutorType: 'poolmgr',
      hpaMetrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
        },
      ],
      hpaBehavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
    },
  },
  streaming: { protocol: 'sse', idleTimeoutSeconds: 30, maxDurationSeconds: 600 },
  tool: {
    description: 'Says hello.',
    inputSchema: { type: 'object' },
    toolName: 'say_hello',
    alias: 'prod',
  },
  state: {
    keyspace: 'a.b',
    defaultTTL: '24h',
    maxValueBytes: 1024,
    maxKeys: 10,
    backend: 'default',
    sticky: { source: 'header', name: 'X-Session-Id' },
  },
  invocation: {
    retry: { maxAttempts: 3, backoffBase: '1s', backoffCap: '1m', jitter: false },
    maxAge: '1h',
    onSuccess: { function: { type: 'name', name: 'done' } },
    onFailure: { topic: { messageQueueType: 'statestore', topic: 'failed.calls' } },
  },
  provisionedConcurrency: {
    target: 2,
    windows: [{ name: 'day', start: 'CRON_TZ=Europe/Paris 0 9 * * *', duration: '12h', target: 5 }],
  },
  versioning: { mode: 'manual', retain: 5 },
  onceOnly: true,
  retainPods: 1,
};

const destinations = {
  onSuccess: { topic: { messageQueueType: 'kafka', topic: 'done' } },
  onFailure: { function: { type: 'name', name: 'failed', version: 'v1', functionweights: null } },
};

export const FULL_OBJECTS: readonly FullObject[] = [
  full('Environment', 'full', {
    version: 3,
    runtime: { image: 'a', container, podspec: { ...podspec, containers: [{ name: 'full', image: 'a' }] } },
    builder: { image: 'b', command: 'build', container, podspec },
    allowedFunctionsPerContainer: 'infinite',
    allowAccessToExternalNetwork: true,
    resources,
    poolsize: 3,
    terminationGracePeriod: 360,
    keeparchive: true,
    imagepullsecret: 'registry',
    scaling: { idlePercent: 25, queueThreshold: 100, maxPods: 40, idleTimeout: '90s' },
  }),
  full('Function', 'full', {
    environment: { name: 'wasm', namespace: 'default' },
    package: {
      packageref: { name: 'full', namespace: 'default', resourceversion: '17' },
      functionName: 'handler.main',
    },
    functionTimeout: 60,
    idletimeout: 120,
    concurrency: 500,
    requestsPerPod: 1,
    ...EVERY_BLOCK,
  }),
  full('Function', 'scaled', {
    environment: { name: 'python', namespace: 'default' },
    InvokeStrategy: {
      StrategyType: 'execution',
      ExecutionStrategy: {
        ExecutorType: 'container',
        MinScale: 1,
        MaxScale: 3,
        TargetCPUPercent: 80,
        SpecializationTimeout: 120,
      },
    },
    configmaps: [{ name: 'a', namespace: 'default', mountPath: 'b' }],
    invocation: { ...destinations },
    podspec,
  }),
  full('Function', 'by-weight', {
    environment: { name: 'wasm' },
    invocation: {
      onSuccess: { function: { ...byWeight, alias: '', version: '' } },
      onFailure: { function: { ...byWeight, alias: '' } },
    },
  }),
  full('Package', 'full', {
    environment: { name: 'wasm', namespace: 'default' },
    source: { type: 'literal', literal: 'aGVsbG8=', checksum: sum },
    deployment: { type: 'url', url: 'https://a.example/a.zip', checksum: sum },
    buildcmd: './build.sh',
  }),
  full('Package', 'image', {
    environment: { name: 'wasm', namespace: 'default' },
    source: { type: 'url', url: 'https://a.example/a.zip' },
    deployment: { type: 'oci', oci },
  }),
  full('Package', 'literal', {
    environment: { name: 'wasm', namespace: 'default' },
    deployment: { type: 'literal', literal: 'aGVsbG8=' },
  }),
  full('HTTPTrigger', 'full', {
    host: 'a.example',
    relativeurl: '/hello/{name}',
    prefix: '/hello',
    keepPrefix: true,
    method: 'GET',
    methods: ['GET', 'POST'],
    invocationMode: 'async',
    functionref: { type: 'name', name: 'hello', alias: 'prod', functionweights: null },
    createingress: true,
    ingressconfig: { annotations: { a: 'b' }, path: '/hello', host: '*', tls: 'tls' },
    routeConfig: {
      provider: 'ingress',
      hostnames: ['a.example'],
      path: '/',
      annotations: { a: 'b' },
      tls: 'tls',
      gateway: { parentRefs: [{ name: 'edge', namespace: 'infra', sectionName: 'https', port: 443 }] },
    },
    corsConfig: {
      allowOrigins: ['https://a.example'],
      allowMethods: ['GET'],
      allowHeaders: ['X-A'],
      exposeHeaders: ['X-B'],
      allowCredentials: true,
      maxAge: '10m',
    },
  }),
  full('HTTPTrigger', 'by-weight', { relativeurl: '/a', functionref: { ...byWeight, version: '' } }),
  full('TimeTrigger', 'full', {
    cron: '@every 5m',
    functionref: { ...byWeight, alias: '', version: '' },
    method: 'PUT',
    subpath: '/a',
  }),
  full('MessageQueueTrigger', 'full', {
    functionref: { ...byWeight, alias: '', version: '' },
    messageQueueType: 'kafka',
    topic: 'orders',
    respTopic: 'done',
    errorTopic: 'failed',
    maxRetries: 3,
    batchSize: 10,
    contentType: 'application/json',
    pollingInterval: 30,
    cooldownPeriod: 300,
    minReplicaCount: 0,
    maxReplicaCount: 100,
    metadata: { bootstrapServers: 'kafka:9092' },
    secret: 'kafka',
    mqtkind: 'keda',
    podspec,
  }),
  full('KubernetesWatchTrigger', 'full', {
    namespace: 'default',
    type: 'Pod',
    labelselector: { app: 'web' },
    functionref: { ...byWeight, alias: '', version: '' },
  }),
];
