import { describe, expect, it } from 'vitest';
import { resolveTrigger } from './index.ts';
import type { HttpTrigger } from './index.ts';
import { httpTriggerKind } from './http-trigger.ts';
import { trigger } from './testing/examples.ts';

const messages = (spec: Partial<HttpTrigger['spec']>): string[] =>
  httpTriggerKind.validate(trigger(spec)).map(({ path, message }) => `${path} ${message}`);

describe('resolveTrigger', () => {
  it('takes an exact path, GET and the whole weight by default', () => {
    expect(resolveTrigger(trigger())).toMatchObject({
      host: '',
      path: '/hello',
      prefix: false,
      keepPrefix: false,
      methods: ['GET'],
      functions: [{ name: 'hello', weight: 100 }],
      cors: null,
      notServed: [],
    });
  });

  it('lets the prefix win over the url', () => {
    expect(resolveTrigger(trigger({ prefix: '/app', keepPrefix: true }))).toMatchObject({
      path: '/app',
      prefix: true,
      keepPrefix: true,
    });
  });

  it('counts method and methods together', () => {
    expect(resolveTrigger(trigger({ method: 'POST' })).methods).toEqual(['POST']);
    expect(resolveTrigger(trigger({ method: 'GET', methods: ['PUT', 'GET'] })).methods).toEqual([
      'PUT',
      'GET',
    ]);
  });

  it('gives the functions by weight, without those of none', () => {
    const functionref = {
      type: 'function-weights' as const,
      name: '',
      functionweights: { a: 90, b: 10, c: 0 },
    };
    expect(resolveTrigger(trigger({ functionref })).functions).toEqual([
      { name: 'a', weight: 90 },
      { name: 'b', weight: 10 },
    ]);
  });

  it('reads the CORS settings', () => {
    const corsConfig = { allowOrigins: ['https://app.example'], allowCredentials: true, maxAge: '10m' };
    expect(resolveTrigger(trigger({ corsConfig })).cors).toEqual({
      allowOrigins: ['https://app.example'],
      allowMethods: [],
      allowHeaders: [],
      exposeHeaders: [],
      allowCredentials: true,
      maxAgeSeconds: 600,
    });
  });

  it('names what is not served', () => {
    const spec: Partial<HttpTrigger['spec']> = {
      createingress: true,
      invocationMode: 'async',
      ingressconfig: { host: 'a.example' },
      routeConfig: { provider: 'gateway', gateway: { parentRefs: [{ name: 'edge' }] } },
      functionref: { name: 'hello', alias: 'prod' },
    };
    expect(resolveTrigger(trigger(spec)).notServed).toEqual([
      'spec.functionref.alias',
      'spec.invocationMode',
      'spec.createingress',
      'spec.ingressconfig',
      'spec.routeConfig',
    ]);
  });
});

describe('checks', () => {
  it.each<[Partial<HttpTrigger['spec']>, string]>([
    [{ relativeurl: '' }, 'spec.relativeurl is required, or a prefix'],
    [{ relativeurl: 'hello' }, 'spec.relativeurl must start with /, but is "hello"'],
    [{ relativeurl: '/' }, 'spec.relativeurl must be more than "/"'],
    [{ relativeurl: '/a/../b' }, 'spec.relativeurl must not have ".." in it'],
    [{ relativeurl: '/a?b' }, 'spec.relativeurl must be a path without spaces'],
    [{ prefix: '/fission-function/x' }, 'spec.prefix must not start with /fission-function/'],
    [{ relativeurl: '/readyz' }, 'spec.relativeurl must not be "/readyz"'],
    [{ host: 'Exämple' }, 'spec.host must be lower-case letters'],
    [{ functionref: {} }, 'spec.functionref.name is required'],
    [
      { functionref: { name: 'a', alias: 'b', version: 'c' } },
      'spec.functionref.version cannot stand beside alias "b"',
    ],
    [
      { functionref: { type: 'function-weights', functionweights: { a: 0 } } },
      'spec.functionref.functionweights must give at least one',
    ],
    [
      { functionref: { type: 'function-weights', functionweights: { a: -1, b: 1 } } },
      'spec.functionref.functionweights.a must be 0 at least',
    ],
    [
      { corsConfig: { allowOrigins: ['*'], allowCredentials: true } },
      'spec.corsConfig.allowOrigins must not be "*" beside',
    ],
    [
      { corsConfig: { allowOrigins: ['https://a.example/x'] } },
      'spec.corsConfig.allowOrigins[0] must be scheme://host',
    ],
    [
      { corsConfig: { exposeHeaders: ['X\r\nSet-Cookie: a'] } },
      'spec.corsConfig.exposeHeaders[0] must be a name as HTTP',
    ],
    [{ corsConfig: { maxAge: '10' } }, 'spec.corsConfig.maxAge must be a duration'],
    [{ ingressconfig: { path: 'x' } }, 'spec.ingressconfig.path must start with /'],
    [{ ingressconfig: { host: 'a*b' } }, 'spec.ingressconfig.host must be a host name'],
    [{ routeConfig: { provider: 'gateway' } }, 'spec.routeConfig.gateway.parentRefs must name at least one'],
    [
      { routeConfig: { provider: 'ingress', annotations: { 'a b': '' } } },
      'spec.routeConfig.annotations[a b] must be a name',
    ],
  ])('refuse %j', (spec, message) => {
    expect(messages(spec)[0]).toContain(message);
  });

  it.each(['/a', '/a/{id}', '/a/{id:[0-9]+}/b', '/a b{x: y}'.replace(' ', '-'), '/%C3%A9', '/é'])(
    'take %s',
    (relativeurl) => {
      expect(messages({ relativeurl })).toEqual([]);
    },
  );
});
