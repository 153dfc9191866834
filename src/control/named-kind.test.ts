import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type ConfigMap, type KubeClient, RESOURCES } from '../kube/index.ts';
import { eventually } from '../kube/testing/eventually.ts';
import { SmallApi } from '../kube/testing/small-api.ts';
import { NamedKind } from './named-kind.ts';

let api: SmallApi;
let client: KubeClient;
let kind: NamedKind<ConfigMap>;

beforeEach(async () => {
  api = await SmallApi.start();
  client = api.client();
  kind = new NamedKind<ConfigMap>({ client, type: RESOURCES.configmaps, logger: pino({ level: 'silent' }) });
});

afterEach(async () => {
  await kind.close();
  client.close();
  await api.close();
});

const create = (name: string, v: string): Promise<ConfigMap> =>
  client.create<ConfigMap>(RESOURCES.configmaps, { metadata: { namespace: 'default', name }, data: { v } });

describe('NamedKind', () => {
  it('watches what is wanted, one watch each, and nothing else', async () => {
    const changes: string[] = [];
    kind.onChange({
      add: ({ metadata, data }) => changes.push(`+${metadata.name}=${data?.v}`),
      update: ({ metadata, data }) => changes.push(`~${metadata.name}=${data?.v}`),
    });
    await create('a', '1');
    await create('b', '1');
    kind.want(new Set(['default/a', 'default/c']));
    await eventually('a', () => kind.getByKey('default/a') !== undefined);
    await create('c', '1');
    await eventually('c', () => kind.get('default', 'c') !== undefined);
    await client.patchMerge(RESOURCES.configmaps, 'default', 'a', { data: { v: '2' } });
    await eventually('the change of a', () => kind.get('default', 'a')?.data?.['v'] === '2');
    expect(changes.toSorted()).toEqual(['+a=1', '+c=1', '~a=2']);
    expect(kind.keys().toSorted()).toEqual(['default/a', 'default/c']);
    expect(kind.get('default', 'b')).toBeUndefined();
    const selectors = api.requests.map(({ query }) => query.get('fieldSelector'));
    expect(new Set(selectors.filter(Boolean))).toEqual(new Set(['metadata.name=a', 'metadata.name=c']));
  });

  it('forgets what is no longer wanted, and ends its watch', async () => {
    await create('a', '1');
    kind.want(new Set(['default/a']));
    await eventually('a watch', () => api.openWatches === 1);
    kind.want(new Set());
    expect(kind.get('default', 'a')).toBeUndefined();
    await eventually('no watch', () => api.openWatches === 0);
  });
});
