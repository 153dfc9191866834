import { describe, expect, it } from 'vitest';

import { type FissionFunction, resolveFunction } from '../../api/index.ts';
import type { ConfigMap, Secret } from '../../kube/index.ts';
import { fn } from '../testing/platform.ts';
import { type GrantsResult, resolveGrants } from './grants.ts';

const metadata = (name: string): { namespace: string; name: string } => ({ namespace: 'default', name });
const SECRET: Secret = {
  metadata: metadata('s'),
  data: { a: 'QQ==', b: Buffer.from('ü=1').toString('base64') },
};
const CONFIG: ConfigMap = { metadata: metadata('c'), data: { a: 'from c', 'has=sign': 'x', '': 'y' } };
const BARE: ConfigMap = { metadata: metadata('bare') };

function grants(spec: Partial<FissionFunction['spec']>): GrantsResult {
  const configMaps: Record<string, ConfigMap> = { c: CONFIG, bare: BARE };
  return resolveGrants(resolveFunction(fn('f', spec)), {
    secret: ({ name }) => (name === 's' ? SECRET : undefined),
    configMap: ({ name }) => configMaps[name],
  });
}

const secretKey = (name: string, key: string, optional = false): object => ({
  valueFrom: { secretKeyRef: { name, key, optional } },
});
const configKey = (name: string, key: string): object => ({ valueFrom: { configMapKeyRef: { name, key } } });

describe('resolveGrants', () => {
  it.each<[string, Partial<FissionFunction['spec']>, [string, string][]]>([
    ['nothing by default', {}, []],
    [
      'literals',
      { env: [{ name: 'A', value: '1' }, { name: 'B' }] },
      [
        ['A', '1'],
        ['B', ''],
      ],
    ],
    [
      'keys of objects, decoded',
      {
        env: [
          { name: 'A', ...secretKey('s', 'b') },
          { name: 'C', ...configKey('c', 'a') },
        ],
      },
      [
        ['A', 'ü=1'],
        ['C', 'from c'],
      ],
    ],
    [
      'all keys that can be names, with a prefix',
      { envFrom: [{ prefix: 'P_', configMapRef: { name: 'c' } }, { secretRef: { name: 's' } }] },
      [
        ['P_a', 'from c'],
        ['P_', 'y'],
        ['a', 'A'],
        ['b', 'ü=1'],
      ],
    ],
    [
      'the later source, and env over all',
      {
        envFrom: [{ configMapRef: { name: 'c' } }, { secretRef: { name: 's' } }],
        env: [{ name: 'b', value: 'mine' }],
      },
      [
        ['a', 'A'],
        ['b', 'mine'],
      ],
    ],
    [
      'nothing for what is optional and missing',
      {
        envFrom: [{ secretRef: { name: 'none', optional: true } }],
        env: [
          { name: 'A', ...secretKey('none', 'a', true) },
          { name: 'B', ...secretKey('s', 'z', true) },
        ],
      },
      [],
    ],
    ['nothing of an object without data', { envFrom: [{ configMapRef: { name: 'bare' } }] }, []],
  ])('gives %s', (_, spec, env) => {
    expect(grants(spec)).toEqual({ ok: true, grants: { env, args: [], allowedOutboundHosts: [] } });
  });

  it.each<[string, Partial<FissionFunction['spec']>, string, RegExp]>([
    [
      'a secret',
      { env: [{ name: 'A', ...secretKey('none', 'a') }] },
      'SecretNotFound',
      /Secret default\/none/,
    ],
    [
      'a key of a secret',
      { env: [{ name: 'A', ...secretKey('s', 'z') }] },
      'SecretKeyNotFound',
      /key "z" of Secret default\/s/,
    ],
    [
      'a config map',
      { envFrom: [{ configMapRef: { name: 'none' } }] },
      'ConfigMapNotFound',
      /ConfigMap default\/none/,
    ],
    [
      'a key of a config map',
      { env: [{ name: 'A', ...configKey('bare', 'z') }] },
      'ConfigMapKeyNotFound',
      /key "z"/,
    ],
    ['a secret to be mounted', { secrets: [{ name: 'none' }] }, 'SecretNotFound', /default\/none/],
    ['a config map to be mounted', { configmaps: [{ name: 'none' }] }, 'ConfigMapNotFound', /default\/none/],
  ])('refuses when %s is missing', (_, spec, reason, message) => {
    expect(grants(spec)).toEqual({ ok: false, reason, message: expect.stringMatching(message) as unknown });
  });
});
