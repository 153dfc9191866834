import { describe, expect, it } from 'vitest';

import { installObjects, resourceOf } from './manifest.ts';

const container = {
  name: 'router',
  image: 'fissium/fissium:1',
  env: [{ name: 'FISSIUM_IMAGE', value: 'fissium/fissium:1' }],
};
const MANIFEST = [
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'router', namespace: 'fission' },
    spec: { template: { spec: { containers: [container] } } },
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'fissium-router' },
    subjects: [{ kind: 'ServiceAccount', name: 'fissium-router', namespace: 'fission' }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'm', namespace: 'kube-system' },
  },
  {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'functions.fission.io' },
  },
];

describe('installObjects', () => {
  it('puts definitions first, then the namespace, and leaves the manifest as it is', () => {
    const before = structuredClone(MANIFEST);
    const kinds = installObjects(MANIFEST, {}).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(kinds).toEqual([
      'CustomResourceDefinition functions.fission.io',
      'Namespace fission',
      'Deployment router',
      'ClusterRoleBinding fissium-router',
      'RoleBinding m',
    ]);
    expect(MANIFEST).toEqual(before);
  });

  it('has another namespace and image wherever they stand, and nothing else', () => {
    const objects = installObjects(MANIFEST, { namespace: 'functions', image: 'mine:2' });
    expect(objects.find(({ kind }) => kind === 'Deployment')).toMatchObject({
      metadata: { namespace: 'functions' },
      spec: { template: { spec: { containers: [{ image: 'mine:2', env: [{ value: 'mine:2' }] }] } } },
    });
    expect(objects.find(({ kind }) => kind === 'ClusterRoleBinding')).toMatchObject({
      subjects: [{ name: 'fissium-router', namespace: 'functions' }],
    });
    expect(objects.find(({ kind }) => kind === 'RoleBinding')?.metadata.namespace).toBe('kube-system');
  });
});

describe('resourceOf', () => {
  it('finds the collection by group, version and kind, and refuses what nobody knows', () => {
    const [deployment] = installObjects(MANIFEST, {}).filter(({ kind }) => kind === 'Deployment');
    expect(deployment && resourceOf(deployment)).toMatchObject({ group: 'apps', plural: 'deployments' });
    expect(() => resourceOf({ apiVersion: 'apps/v9', kind: 'Deployment', metadata: { name: 'x' } })).toThrow(
      /apps\/v9/,
    );
  });
});
