import { describe, expect, it } from 'vitest';
import { ACCESS_REVIEW_KIND, CORE_KINDS } from './core-kinds.ts';
import { apiDocument, apisDocument, groupDocument, resourcesDocument, versionDocument } from './discovery.ts';
import { EXAMPLE_KIND } from './testing/example-kind.ts';

const kinds = [...CORE_KINDS, EXAMPLE_KIND, ACCESS_REVIEW_KIND];

describe('plain discovery', () => {
  it('lists groups and versions', () => {
    expect(apiDocument(kinds, 'plain').body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
    expect(apisDocument(kinds, 'plain').body).toMatchObject({
      kind: 'APIGroupList',
      groups: [
        { name: 'example.io', preferredVersion: { groupVersion: 'example.io/v1', version: 'v1' } },
        { name: 'authorization.k8s.io' },
      ],
    });
    expect(groupDocument(kinds, 'example.io')).toMatchObject({ kind: 'APIGroup', name: 'example.io' });
    expect(groupDocument(kinds, '')).toBeUndefined();
    expect(groupDocument(kinds, 'nosuch.io')).toBeUndefined();
  });

  it('lists resources with their status', () => {
    const document = resourcesDocument(kinds, 'example.io', 'v1');
    expect(document).toMatchObject({ kind: 'APIResourceList', groupVersion: 'example.io/v1' });
    expect(document?.resources).toEqual([
      expect.objectContaining({
        name: 'widgets',
        singularName: 'widget',
        shortNames: ['wd'],
        namespaced: true,
        kind: 'Widget',
      }),
      {
        name: 'widgets/status',
        singularName: '',
        namespaced: true,
        kind: 'Widget',
        verbs: ['get', 'patch', 'update'],
      },
    ]);
    expect(resourcesDocument(kinds, '', 'v1')?.groupVersion).toBe('v1');
    expect(resourcesDocument(kinds, 'example.io', 'v2')).toBeUndefined();
  });
});

describe('aggregated discovery', () => {
  it('answers all at once, with its own content type', () => {
    const { contentType, body } = apisDocument(kinds, 'v2');
    expect(contentType).toBe('application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
    expect(body).toMatchObject({
      kind: 'APIGroupDiscoveryList',
      apiVersion: 'apidiscovery.k8s.io/v2',
      items: [
        {
          metadata: { name: 'example.io' },
          versions: [
            {
              version: 'v1',
              resources: [
                {
                  resource: 'widgets',
                  scope: 'Namespaced',
                  responseKind: { group: 'example.io', version: 'v1', kind: 'Widget' },
                  subresources: [{ subresource: 'status' }],
                },
              ],
            },
          ],
        },
        { metadata: { name: 'authorization.k8s.io' } },
      ],
    });
    expect(apiDocument(kinds, 'v2beta1').body.apiVersion).toBe('apidiscovery.k8s.io/v2beta1');
  });
});

it('names its version as a Kubernetes version', () => {
  expect(versionDocument('0.1.0').gitVersion).toMatch(/^v1\.\d+\.0\+fissium\.0\.1\.0$/);
});
