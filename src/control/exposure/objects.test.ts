import { describe, expect, test } from 'vitest';

import { type HttpTrigger, resolveTrigger } from '../../api/index.ts';
import { routeName, type RouteObject, routeObject } from './objects.ts';

type Spec = HttpTrigger['spec'];

function made(spec: Partial<Spec>): RouteObject | null {
  const trigger = resolveTrigger({
    apiVersion: 'fission.io/v1',
    kind: 'HTTPTrigger',
    metadata: { name: 'web', namespace: 'default' },
    spec: { relativeurl: '/hello', functionref: { type: 'name', name: 'hello' }, ...spec },
  });
  return trigger.exposure && routeObject(trigger, trigger.exposure, 'fission');
}

const backend = { service: { name: 'router', port: { number: 80 } } };
const rule = (path: string, host?: string): object => ({
  ...(host === undefined ? {} : { host }),
  http: { paths: [{ path, pathType: 'ImplementationSpecific', backend }] },
});

describe('an Ingress', () => {
  test('is named and labelled as Fission does, beside the router', () => {
    expect(made({ createingress: true })).toEqual({
      metadata: {
        namespace: 'fission',
        name: 'web',
        labels: {
          triggerName: 'web',
          functionName: 'hello',
          triggerNamespace: 'default',
          'app.kubernetes.io/managed-by': 'fissium',
          'fissium.io/part': 'route',
        },
        annotations: { 'fissium.io/trigger': 'default/web' },
      },
      spec: { rules: [rule('/hello')] },
    });
  });

  test.each<[string, Partial<Spec>, object]>([
    ["the trigger's host", { host: 'a.example.com' }, { rules: [rule('/hello', 'a.example.com')] }],
    ['a prefix before a path', { prefix: '/app' }, { rules: [rule('/app')] }],
    ['what is before parameters', { relativeurl: '/users/{id}/x' }, { rules: [rule('/users/')] }],
    ['what is before a part of a segment', { relativeurl: '/u-{id:[0-9]+}' }, { rules: [rule('/')] }],
    [
      'host, path and certificate of its own',
      { host: 'a.example.com', ingressconfig: { host: '*.b.example.com', path: '/x(/.*)?', tls: 'cert' } },
      {
        rules: [rule('/x(/.*)?', '*.b.example.com')],
        tls: [{ hosts: ['*.b.example.com'], secretName: 'cert' }],
      },
    ],
    [
      'any host where it says so',
      { host: 'a.example.com', ingressconfig: { host: '*', tls: 'cert' } },
      { rules: [rule('/hello')], tls: [{ secretName: 'cert' }] },
    ],
  ])('has %s', (_, spec, expected) => {
    expect(made({ createingress: true, ...spec })?.spec).toEqual(expected);
  });

  test('is made by routeConfig too, which comes first, for each host', () => {
    const routeConfig = {
      provider: 'ingress' as const,
      hostnames: ['a.example.com', 'b.example.com'],
      annotations: { k: 'v' },
      tls: 'cert',
    };
    const object = made({ routeConfig, createingress: true, ingressconfig: { path: '/never' } });
    expect(object?.spec).toEqual({
      rules: [rule('/hello', 'a.example.com'), rule('/hello', 'b.example.com')],
      tls: [{ hosts: ['a.example.com', 'b.example.com'], secretName: 'cert' }],
    });
    expect(object?.metadata.annotations).toEqual({ k: 'v', 'fissium.io/trigger': 'default/web' });
  });

  test('is not made where nobody asks', () => {
    expect(made({ createingress: false, ingressconfig: { host: 'a.example.com' } })).toBeNull();
  });
});

test.each<[string, object, object]>([
  ['of any host', {}, { rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }] }],
  [
    'of hosts and a path',
    { hostnames: ['a.example.com'], path: '/x' },
    { hostnames: ['a.example.com'], rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/x' } }] }] },
  ],
])('an HTTPRoute %s attaches to its Gateways', (_, config, expected) => {
  const parentRefs = [{ name: 'main' }, { name: 'other', namespace: 'infra', sectionName: 'web', port: 443 }];
  const spec = made({ routeConfig: { provider: 'gateway', gateway: { parentRefs }, ...config } })?.spec;
  expect(spec).toMatchObject({ parentRefs, ...expected });
  expect(spec).toHaveProperty('rules.0.backendRefs', [{ name: 'router', port: 80 }]);
  expect('hostnames' in (spec ?? {})).toBe('hostnames' in expected);
});

test('triggers of one name in several namespaces have objects of their own', () => {
  const names = ['default', 'a', 'b'].map((namespace) => routeName({ namespace, name: 'web' }));
  expect(new Set(names).size).toBe(3);
  expect(names.slice(1)).toEqual([
    expect.stringMatching(/^web-[0-9a-f]{8}$/),
    expect.stringMatching(/^web-[0-9a-f]{8}$/),
  ]);
});
