/** Objects as users and Fission's own tools write them. */
import type {
  Environment,
  FissionFunction,
  HttpTrigger,
  KubernetesWatchTrigger,
  MessageQueueTrigger,
  Package,
  TimeTrigger,
} from '../index.ts';

export function environment(spec: Partial<Environment['spec']> = {}): Environment {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Environment',
    metadata: { name: 'wasm', namespace: 'default' },
    spec: { version: 3, runtime: { image: 'wasm' }, ...spec },
  };
}

export function fn(
  spec: Partial<FissionFunction['spec']> = {},
  annotations: Record<string, string> = {},
): FissionFunction {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Function',
    metadata: { name: 'hello', namespace: 'default', annotations },
    spec: { environment: { name: 'wasm' }, package: { packageref: { name: 'hello-pkg' } }, ...spec },
  };
}

export function pkg(spec: Partial<Package['spec']> = {}): Package {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { name: 'hello-pkg', namespace: 'default' },
    spec: { environment: { name: 'wasm' }, ...spec },
  };
}

export function trigger(spec: Partial<HttpTrigger['spec']> = {}): HttpTrigger {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'HTTPTrigger',
    metadata: { name: 'hello', namespace: 'default' },
    spec: { relativeurl: '/hello', functionref: { name: 'hello' }, ...spec },
  };
}

export function timeTrigger(spec: Partial<TimeTrigger['spec']> = {}): TimeTrigger {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'TimeTrigger',
    metadata: { name: 'daily-report', namespace: 'default' },
    spec: { cron: '0 9 * * *', functionref: { name: 'report-generator' }, ...spec },
  };
}

export function queueTrigger(spec: Partial<MessageQueueTrigger['spec']> = {}): MessageQueueTrigger {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'MessageQueueTrigger',
    metadata: { name: 'orders', namespace: 'default' },
    spec: { functionref: { name: 'order' }, messageQueueType: 'kafka', topic: 'orders', ...spec },
  };
}

export function watchTrigger(spec: Partial<KubernetesWatchTrigger['spec']> = {}): KubernetesWatchTrigger {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'KubernetesWatchTrigger',
    metadata: { name: 'pods', namespace: 'default' },
    spec: { namespace: 'default', type: 'Pod', functionref: { name: 'seen' }, ...spec },
  };
}

const condition = {
  type: 'Ready',
  status: 'True',
  reason: 'Available',
  message: '',
  observedGeneration: 2,
  lastTransitionTime: '2026-01-02T03:04:05Z',
};

/** What Go's serialiser makes of Fission's types: every struct written out, empty lists and times as null. */
export const GO_STYLE: Readonly<Record<string, Record<string, unknown>>> = {
  Environment: {
    apiVersion: 'fission.io/v1',
    kind: 'Environment',
    metadata: { name: 'python', namespace: 'default', creationTimestamp: null },
    spec: {
      version: 3,
      runtime: {
        image: 'ghcr.io/fission/python-env',
        podspec: { containers: [{ name: 'python', image: 'ghcr.io/fission/python-env', resources: {} }] },
      },
      builder: { image: 'ghcr.io/fission/python-builder', command: 'build' },
      allowedFunctionsPerContainer: 'single',
      allowAccessToExternalNetwork: true,
      resources: { limits: { cpu: '1', memory: '256Mi' }, requests: { cpu: 1, memory: '128Mi' } },
      poolsize: 3,
      terminationGracePeriod: 360,
      keeparchive: false,
      imagepullsecret: '',
    },
    status: { observedGeneration: 2, conditions: [condition] },
  },
  Function: {
    apiVersion: 'fission.io/v1',
    kind: 'Function',
    metadata: { name: 'hello', namespace: 'default', creationTimestamp: null },
    spec: {
      environment: { name: 'python', namespace: 'default' },
      package: {
        packageref: { name: 'hello-pkg', namespace: 'default', resourceversion: '17' },
        functionName: 'handler.main',
      },
      secrets: null,
      configmaps: null,
      resources: {},
      InvokeStrategy: {
        ExecutionStrategy: {
          ExecutorType: 'poolmgr',
          MinScale: 0,
          MaxScale: 1,
          TargetCPUPercent: 0,
          SpecializationTimeout: 120,
        },
        StrategyType: 'execution',
      },
      functionTimeout: 60,
      idletimeout: 120,
      concurrency: 500,
      requestsPerPod: 1,
    },
    status: { conditions: [condition], provisionedReady: 0 },
  },
  Package: {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { name: 'hello-pkg', namespace: 'default', creationTimestamp: null },
    spec: {
      environment: { name: 'python', namespace: 'default' },
      source: { checksum: {} },
      deployment: { type: 'literal', literal: 'aGVsbG8=', checksum: {} },
    },
    status: { buildstatus: 'succeeded', lastUpdateTimestamp: null, conditions: [condition] },
  },
  HTTPTrigger: {
    apiVersion: 'fission.io/v1',
    kind: 'HTTPTrigger',
    metadata: { name: 'hello', namespace: 'default', creationTimestamp: null },
    spec: {
      host: '',
      relativeurl: '/hello/{name:[a-z]+}',
      prefix: '',
      method: '',
      methods: ['GET', 'POST'],
      functionref: { type: 'name', name: 'hello', functionweights: null },
      createingress: false,
      ingressconfig: { annotations: null, path: '/hello', host: '*', tls: '' },
    },
    status: {},
  },
  TimeTrigger: {
    apiVersion: 'fission.io/v1',
    kind: 'TimeTrigger',
    metadata: { name: 'daily', namespace: 'default', creationTimestamp: null },
    spec: {
      cron: '0 30 9 * * 1-5',
      functionref: { type: 'name', name: 'report', functionweights: null },
      method: 'POST',
      subpath: '/',
    },
    status: {},
  },
  MessageQueueTrigger: {
    apiVersion: 'fission.io/v1',
    kind: 'MessageQueueTrigger',
    metadata: { name: 'orders', namespace: 'default', creationTimestamp: null },
    spec: {
      functionref: { type: 'name', name: 'order', functionweights: null },
      messageQueueType: 'kafka',
      topic: 'orders.v2',
      respTopic: 'orders.done',
      errorTopic: '',
      maxRetries: 3,
      contentType: 'application/json',
      pollingInterval: 30,
      cooldownPeriod: 300,
      minReplicaCount: 0,
      maxReplicaCount: 100,
      metadata: { bootstrapServers: 'kafka:9092', consumerGroup: 'orders' },
      secret: 'kafka',
      mqtkind: 'keda',
    },
    status: { conditions: [condition] },
  },
  KubernetesWatchTrigger: {
    apiVersion: 'fission.io/v1',
    kind: 'KubernetesWatchTrigger',
    metadata: { name: 'pods', namespace: 'default', creationTimestamp: null },
    spec: {
      namespace: 'default',
      type: 'Pod',
      labelselector: { app: 'web', 'example.com/tier': '' },
      functionref: { type: 'name', name: 'seen', functionweights: null },
    },
    status: {},
  },
};
