import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { Informers } from './informers.ts';
import { type KubeObject, RESOURCES } from './resources.ts';
import { eventually } from './testing/eventually.ts';
import { SmallApi } from './testing/small-api.ts';

const { configmaps } = RESOURCES;
let api: SmallApi;

beforeEach(async () => {
  api = await SmallApi.start();
});
afterEach(() => api.close());

const configMap = (namespace: string, name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace, name, labels: { of: namespace } },
});

it.each([
  ['all namespaces', [], ['a', 'b', 'c']],
  ['those that are named', ['a', 'c'], ['a', 'c']],
])('know the objects of %s', async (_, namespaces, known) => {
  const client = api.client();
  for (const namespace of ['a', 'b', 'c']) await client.create(configmaps, configMap(namespace, 'one'));
  const informers = new Informers<KubeObject>({
    client,
    logger: pino({ level: 'silent' }),
    type: configmaps,
    namespaces,
    indexes: { of: ({ metadata }) => [metadata.labels?.['of'] ?? ''] },
  }).start();
  try {
    await informers.synced();
    expect(Array.from(informers.values(), ({ metadata }) => metadata.namespace ?? '').toSorted()).toEqual(
      known,
    );
    expect(informers.keys().toSorted()).toEqual(known.map((namespace) => `${namespace}/one`));
    for (const namespace of ['a', 'b', 'c']) {
      const isKnown = known.includes(namespace);
      expect(informers.covers(namespace)).toBe(isKnown);
      expect(informers.get(namespace, 'one') !== undefined).toBe(isKnown);
      expect(informers.getByKey(`${namespace}/one`) !== undefined).toBe(isKnown);
      expect(informers.byIndex('of', namespace)).toHaveLength(isKnown ? 1 : 0);
    }
    const added: string[] = [];
    const undo = informers.onChange({ add: ({ metadata }) => added.push(metadata.namespace ?? '') });
    expect(added.toSorted()).toEqual(known);
    undo();
    for (const namespace of ['a', 'c']) await client.create(configmaps, configMap(namespace, 'two'));
    await eventually('two more', () =>
      Promise.resolve(informers.keys().length === known.length + 2 ? true : undefined),
    );
    expect(added).toHaveLength(known.length);
  } finally {
    await informers.close();
    client.close();
  }
});
