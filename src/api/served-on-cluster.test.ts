import { expect, test } from 'vitest';
import {
  environmentFieldsNotServed,
  functionFieldsNotServed,
  resolveEnvironment,
  resolveFunction,
  resolveTrigger,
  triggerFieldsNotServed,
} from './index.ts';
import type { Environment, FissionFunction, HttpTrigger } from './index.ts';

const STRATEGY = 'spec.InvokeStrategy.ExecutionStrategy';

function fn(ExecutorType: 'poolmgr' | 'newdeploy' | 'container'): FissionFunction {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Function',
    metadata: { name: 'hello' },
    spec: {
      environment: { name: 'env' },
      package: { packageref: { name: 'hello', namespace: 'default' } },
      InvokeStrategy: {
        StrategyType: 'execution',
        ExecutionStrategy: {
          ExecutorType,
          MinScale: 1,
          MaxScale: 2,
          TargetCPUPercent: 70,
          SpecializationTimeout: 30,
        },
      },
      resources: { requests: { cpu: '100m' }, limits: { cpu: '200m', memory: '128Mi' } },
      retainPods: 1,
      ...(ExecutorType === 'container' ? { podspec: { containers: [{ name: 'a', image: 'b' }] } } : {}),
      tool: { description: 'does it' },
    },
  };
}

const SCALE = [
  `${STRATEGY}.ExecutorType`,
  `${STRATEGY}.MinScale`,
  `${STRATEGY}.MaxScale`,
  `${STRATEGY}.TargetCPUPercent`,
];
const RESOURCES = ['spec.resources.limits.cpu', 'spec.resources.requests.cpu'];

test.each([
  ['poolmgr', true, ['spec.resources.limits.cpu', 'spec.retainPods', 'spec.tool']],
  ['poolmgr', false, ['spec.tool']],
  ['newdeploy', true, ['spec.resources.limits.cpu', 'spec.retainPods', 'spec.tool']],
  ['newdeploy', false, ['spec.retainPods', 'spec.tool']],
  ['container', false, ['spec.retainPods', 'spec.tool']],
] as const)('a cluster serves what %s says, Wasm: %s', (executor, isWasm, notServed) => {
  const resolved = resolveFunction(fn(executor));
  expect(functionFieldsNotServed(resolved, 'cluster', isWasm)).toEqual(notServed);
  const inOneProcess = functionFieldsNotServed(resolved, 'one-process', isWasm);
  expect(inOneProcess).toEqual([
    ...(executor === 'poolmgr' ? [] : SCALE),
    ...(isWasm ? ['spec.resources.limits.cpu'] : RESOURCES),
    'spec.retainPods',
    'spec.tool',
    ...(executor === 'container' ? ['spec.podspec'] : []),
  ]);
});

test.each([
  ['wasm', ['spec.runtime.podspec', 'spec.resources', 'spec.imagepullsecret'], ['spec.imagepullsecret']],
  [
    'python-env',
    ['spec.runtime.image', 'spec.runtime.podspec', 'spec.resources', 'spec.imagepullsecret'],
    [],
  ],
])('a cluster serves what an environment of image %s says of its pods', (image, inOneProcess, onCluster) => {
  const environment: Environment = {
    apiVersion: 'fission.io/v1',
    kind: 'Environment',
    metadata: { name: 'env' },
    spec: {
      version: 3,
      runtime: { image, podspec: { nodeSelector: { disk: 'ssd' } } },
      resources: { limits: { memory: '1Gi' } },
      imagepullsecret: 'registry',
      allowAccessToExternalNetwork: true,
    },
  };
  const resolved = resolveEnvironment(environment);
  const never = 'spec.allowAccessToExternalNetwork';
  expect(environmentFieldsNotServed(resolved, 'one-process').toSorted()).toEqual(
    [...inOneProcess, never].toSorted(),
  );
  expect(environmentFieldsNotServed(resolved, 'cluster').toSorted()).toEqual(
    [...onCluster, never].toSorted(),
  );
});

test('a cluster makes what shows a trigger outside', () => {
  const trigger: HttpTrigger = {
    apiVersion: 'fission.io/v1',
    kind: 'HTTPTrigger',
    metadata: { name: 't' },
    spec: {
      relativeurl: '/t',
      functionref: { type: 'name', name: 'hello' },
      createingress: true,
      ingressconfig: { host: 'a.example' },
      invocationMode: 'async',
    },
  };
  const resolved = resolveTrigger(trigger);
  const outside = ['spec.createingress', 'spec.ingressconfig'];
  expect(triggerFieldsNotServed(resolved, 'one-process')).toEqual(['spec.invocationMode', ...outside]);
  expect(triggerFieldsNotServed(resolved, 'cluster')).toEqual(['spec.invocationMode']);
});

test('WebSockets are served by containers, wherever they run, and by no Wasm function', () => {
  const socket = fn('poolmgr');
  const spec = { ...socket.spec, streaming: { protocol: 'websocket' as const } };
  const resolved = resolveFunction({ ...socket, spec });
  for (const platform of ['one-process', 'cluster'] as const) {
    expect(functionFieldsNotServed(resolved, platform, true)).toContain('spec.streaming.protocol');
    expect(functionFieldsNotServed(resolved, platform, false)).not.toContain('spec.streaming.protocol');
  }
});
