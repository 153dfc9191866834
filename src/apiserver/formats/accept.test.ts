import { describe, expect, it } from 'vitest';
import { negotiateDiscovery, negotiateObject } from './accept.ts';

const KUBECTL_DISCOVERY =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json';
const KUBECTL_GET =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json';

describe('what the Accept header asks for', () => {
  it.each([
    [undefined, 'plain'],
    ['application/json', 'plain'],
    ['*/*', 'plain'],
    [KUBECTL_DISCOVERY, 'v2'],
    [KUBECTL_DISCOVERY.replace('v=v2;', 'v=v3;'), 'v2beta1'],
    [`application/json;q=0.9,${KUBECTL_DISCOVERY.split(',')[0]}`, 'v2'],
  ])('discovery, %s: %s', (accept, form) => {
    expect(negotiateDiscovery(accept)).toBe(form);
  });

  it.each([
    [undefined, 'object'],
    ['', 'object'],
    ['application/json, */*', 'object'],
    [KUBECTL_GET, 'table'],
    ['application/vnd.kubernetes.protobuf,application/json', 'object'],
    ['application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1', 'metadata'],
    ['application/json;as=Table;v=v1beta1;g=meta.k8s.io', undefined],
    ['application/vnd.kubernetes.protobuf', undefined],
    ['text/html', undefined],
    ['application/json;q=0', undefined],
  ])('objects, %s: %s', (accept, form) => {
    expect(negotiateObject(accept)).toBe(form);
  });
});
