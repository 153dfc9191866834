import { describe, expect, it } from 'vitest';

import type { Environment } from '../../api/index.ts';
import type { Container } from '../../kube/index.ts';
import { isOwnRuntime } from './own-images.ts';
import {
  environmentStamp,
  poolDeployment,
  type PoolDeployment,
  poolName,
  resourceClassOf,
} from './pool-objects.ts';
import { environmentOf } from './testing/small-cluster.ts';

const FOREIGN = 'ghcr.io/fission/python-env-3.12';

function deployment(
  spec: Partial<Environment['spec']> = {},
  metadata: Partial<Environment['metadata']> = {},
): PoolDeployment {
  return poolDeployment(environmentOf(spec, metadata), {
    image: 'localhost/fissium:dev',
    resourceClass: null,
  });
}

function container(of: PoolDeployment, name: string): Container | undefined {
  return of.spec.template.spec?.containers.find((one) => one.name === name);
}

describe('the Deployment of a pool', () => {
  it("is the Environment's, and knows its pods by labels that the pod of a function has no longer", () => {
    const { metadata, spec } = deployment();
    expect(metadata).toMatchObject({
      namespace: 'default',
      name: 'poolmgr-python-default-000000e1',
      ownerReferences: [
        { apiVersion: 'fission.io/v1', kind: 'Environment', name: 'python', controller: true },
      ],
    });
    expect(spec.selector.matchLabels).toEqual({
      environmentName: 'python',
      environmentNamespace: 'default',
      environmentUid: 'aaaaaaaa-0000-0000-0000-0000000000e1',
      executorType: 'poolmgr',
      managed: 'true',
      'fissium.io/part': 'pool',
      'fissium.io/resources': 'environment',
    });
    expect(spec.template.metadata?.labels).toMatchObject(spec.selector.matchLabels ?? {});
    expect(spec.replicas).toBeUndefined();
  });

  it('gives the token of the account to the fetcher alone', () => {
    const { spec } = deployment().spec.template;
    expect(spec).toMatchObject({
      serviceAccountName: 'fissium-fetcher',
      automountServiceAccountToken: false,
    });
    const token = '/var/run/secrets/kubernetes.io/serviceaccount';
    const mounts = (name: string) =>
      container(deployment(), name)?.volumeMounts?.map(({ mountPath }) => mountPath);
    expect(mounts('fetcher')).toContain(token);
    expect(mounts('python')).not.toContain(token);
    expect(mounts('python')).toEqual(['/userfunc', '/secrets', '/configs', '/etc/podinfo', '/tmp']);
  });

  it('runs our runtimes without root, and images of others as they are made', () => {
    expect(container(deployment(), 'python')?.securityContext).toMatchObject({
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container(deployment({ runtime: { image: FOREIGN } }), 'python')?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
    });
  });

  it('takes what the environment says of its pods', () => {
    const made = deployment({
      terminationGracePeriod: 30,
      imagepullsecret: 'registry',
      resources: { limits: { memory: '64Mi' } },
      runtime: {
        image: FOREIGN,
        container: { env: [{ name: 'A', value: 'b' }] },
        podspec: {
          priorityClassName: 'low',
          nodeSelector: { disk: 'ssd' },
          containers: [{ name: 'side', image: 'x' }],
        },
      },
    });
    expect(made.spec.template.spec).toMatchObject({
      terminationGracePeriodSeconds: 30,
      imagePullSecrets: [{ name: 'registry' }],
      priorityClassName: 'low',
      nodeSelector: { disk: 'ssd' },
    });
    expect(made.spec.template.spec?.containers.map(({ name }) => name)).toEqual([
      'python',
      'fetcher',
      'side',
    ]);
    expect(container(made, 'python')).toMatchObject({
      env: [{ name: 'A', value: 'b' }],
      resources: { limits: { memory: '64Mi' } },
      lifecycle: { preStop: { sleep: { seconds: 5 } } },
    });
  });

  it('names a runtime container that is not there', () => {
    const runtime = {
      image: FOREIGN,
      container: { name: 'other' },
      podspec: { containers: [{ name: 'python' }] },
    };
    expect(() => deployment({ runtime })).toThrow(/spec\.runtime\.container\.name is "other"/);
  });

  it('has another template when its pods are others, and only then', () => {
    const template = (spec: Partial<Environment['spec']>, metadata: Partial<Environment['metadata']> = {}) =>
      deployment(spec, metadata).metadata.annotations?.['fissium.io/template'];
    expect(template({ poolsize: 9, scaling: { maxPods: 3 } }, { resourceVersion: '7' })).toBe(template({}));
    expect(template({ runtime: { image: FOREIGN } })).not.toBe(template({}));
  });
});

it('a name stays short, whatever the environment is called', () => {
  const { object } = environmentOf({}, { name: 'e'.repeat(63), namespace: 'n'.repeat(63) });
  expect(poolName(object, '0123456789')).toBe(
    `poolmgr-${'e'.repeat(17)}-${'n'.repeat(17)}-000000e1-0123456789`,
  );
});

it.each<[string, Partial<Environment['spec']>, boolean]>([
  ['its image', { runtime: { image: FOREIGN } }, true],
  ['its resources', { resources: { limits: { cpu: 1 } } }, true],
  ['its pool size', { poolsize: 9 }, false],
  ['how it scales', { scaling: { idlePercent: 1 } }, false],
])('code notices of an environment %s: %#', (_, spec, isNoticed) => {
  const stamps = [environmentOf(), environmentOf(spec)].map(({ object }) => environmentStamp(object));
  expect(stamps[0] !== stamps[1]).toBe(isNoticed);
});

it.each([
  ['localhost/fissium-python:dev', {}, true],
  ['registry:5000/team/Fissium-Node-24@sha256:0123', {}, true],
  ['fissium-pythonic:1', {}, false],
  [FOREIGN, {}, false],
  [FOREIGN, { 'fissium.io/runtime': 'true' }, true],
  ['fissium-python', { 'fissium.io/runtime': 'false' }, false],
])('%s with %j is a runtime of ours: %j', (image, annotations, isOurs) => {
  expect(isOwnRuntime(environmentOf({ runtime: { image } }, { annotations }).object)).toBe(isOurs);
});

it("a class is made of a function's resources over its environment's", () => {
  const none = { limits: {}, requests: {}, claims: [] };
  const environment = { ...none, limits: { memory: '64Mi' } };
  expect(resourceClassOf(environment, none)).toBeNull();
  expect(resourceClassOf(environment, { ...none, limits: { memory: '64Mi' } })).toBeNull();
  expect(resourceClassOf(environment, { ...none, limits: { cpu: 1 } })?.resources.limits).toEqual({
    memory: '64Mi',
    cpu: 1,
  });
});
