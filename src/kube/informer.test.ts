import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { KubeClient } from './client.ts';
import { Informer, type InformerOptions } from './informer.ts';
import { type ConfigMap, RESOURCES } from './resources.ts';
import { eventually } from './testing/eventually.ts';
import { SmallApi } from './testing/small-api.ts';

let api: SmallApi;
let client: KubeClient;
let informer: Informer<ConfigMap> | undefined;
let changes: string[];

beforeEach(async () => {
  api = await SmallApi.start();
  client = api.client();
  changes = [];
});

afterEach(async () => {
  await informer?.close();
  informer = undefined;
  client.close();
  await api.close();
});

function start(options: Partial<InformerOptions<ConfigMap>> = {}): Informer<ConfigMap> {
  informer = new Informer<ConfigMap>({
    client,
    type: RESOURCES.configmaps,
    logger: pino({ level: 'silent' }),
    backoffBaseMs: 5,
    backoffCapMs: 20,
    ...options,
  });
  informer.onChange({
    add: (object) => changes.push(`+${object.metadata.name}=${object.data?.v}`),
    update: (object, before) => changes.push(`~${object.metadata.name}=${before.data?.v}>${object.data?.v}`),
    delete: (object) => changes.push(`-${object.metadata.name}`),
  });
  return informer.start();
}

async function put(name: string, v: string, namespace = 'default'): Promise<void> {
  const object: ConfigMap = { metadata: { namespace, name }, data: { v } };
  try {
    await client.create(RESOURCES.configmaps, object);
  } catch {
    await client.patchMerge(RESOURCES.configmaps, namespace, name, { data: { v } });
  }
}

const remove = (name: string): Promise<void> => client.remove(RESOURCES.configmaps, 'default', name);

async function seen(...expected: string[]): Promise<void> {
  await eventually(`changes ${expected.join(' ')}`, () => changes.length >= expected.length).catch(() => {});
  expect(changes).toEqual(expected);
}

const watching = (): Promise<boolean> => eventually('a watch', () => api.openWatches === 1);

describe('Informer', () => {
  it('knows only what it is to keep, and forgets what ceases to be such', async () => {
    await put('a', 'no');
    await put('b', 'yes');
    const started = start({ keep: ({ data }) => data?.v === 'yes' });
    await started.synced();
    await watching();
    await put('a', 'yes');
    await put('b', 'no');
    await put('b', 'never');
    await put('c', 'yes');
    await seen('+b=yes', '+a=yes', '-b', '+c=yes');
    expect([...started.store.keys()].toSorted()).toEqual(['default/a', 'default/c']);
  });

  it('lists in pages, then follows changes', async () => {
    for (let i = 0; i < 5; i++) await put(`a${i}`, '1');
    const started = start({ pageSize: 2 });
    expect(started.hasSynced).toBe(false);
    await started.synced();
    expect(started.hasSynced).toBe(true);
    await seen('+a0=1', '+a1=1', '+a2=1', '+a3=1', '+a4=1');
    expect(api.requests.filter(({ query }) => query.get('limit') === '2')).toHaveLength(3);
    await watching();
    await put('a1', '2');
    await remove('a2');
    await put('b', '1');
    await seen('+a0=1', '+a1=1', '+a2=1', '+a3=1', '+a4=1', '~a1=1>2', '-a2', '+b=1');
    expect(started.get('default', 'a1')?.data?.v).toBe('2');
    expect(started.get('default', 'a2')).toBeUndefined();
  });

  it('goes on where a cleanly ended watch was, without another list', async () => {
    await put('a', '1');
    await start().synced();
    await watching();
    await put('a', '2');
    await seen('+a=1', '~a=1>2');
    api.endWatches('cleanly');
    await put('a', '3');
    await put('a', '4');
    await seen('+a=1', '~a=1>2', '~a=2>3', '~a=3>4');
    expect(api.requests.filter(({ query }) => query.get('limit') !== null)).toHaveLength(1);
  });

  it('watches from a bookmark, so that quiet kinds survive compaction', async () => {
    await put('a', '1');
    await start().synced();
    await watching();
    api.advance();
    api.bookmark();
    api.compact();
    // A change after the bookmark tells when the bookmark was read.
    await put('a', '2');
    await seen('+a=1', '~a=1>2');
    api.endWatches('cleanly');
    await watching();
    await put('a', '3');
    await seen('+a=1', '~a=1>2', '~a=2>3');
    expect(api.requests.filter(({ query }) => query.get('limit') !== null)).toHaveLength(1);
  });

  it('lists again after 410 and tells only what changed meanwhile', async () => {
    await put('same', '1');
    await put('changed', '1');
    await put('gone', '1');
    await start().synced();
    await watching();
    await seen('+same=1', '+changed=1', '+gone=1');
    // Watches end at once, without an event, until the history is gone: then only the server's 410 tells.
    api.intercept = ({ query }) => (query.get('watch') === 'true' ? { status: 200, raw: '' } : undefined);
    api.endWatches('cleanly');
    await put('changed', '2');
    await remove('gone');
    await put('new', '1');
    api.compact();
    api.intercept = undefined;
    await eventually('a relist', () => changes.includes('+new=1'));
    expect(changes.slice(3).toSorted()).toEqual(['+new=1', '-gone', '~changed=1>2']);
  });

  it('tells a replaced object as deleted and added', async () => {
    await put('a', '1');
    await start().synced();
    await watching();
    api.intercept = ({ query }) => (query.get('watch') === 'true' ? { status: 500 } : undefined);
    api.endWatches('cut');
    await remove('a');
    await put('a', '2');
    api.intercept = undefined;
    await seen('+a=1', '-a', '+a=2');
    expect(informer?.get('default', 'a')?.data?.v).toBe('2');
  });

  it('survives cut connections, half events, errors and nonsense without losing or repeating anything', async () => {
    await put('a', '0');
    await start().synced();
    const faults = [
      (): void => api.endWatches('cut'),
      (): void => api.writeToWatches('{"type":"MODIFIED","object":{"metadata":{"name":"a"'),
      (): void => api.writeToWatches('nonsense\n'),
      (): void => api.writeToWatches(`${JSON.stringify({ type: 'ERROR', object: { code: 500 } })}\n`),
      (): void => api.compact(),
    ];
    for (let i = 1; i <= 20; i++) {
      await watching();
      faults[i % faults.length]?.();
      if (i % faults.length === 1) api.endWatches('cut');
      await put('a', String(i));
      await eventually(`value ${i}`, () => informer?.get('default', 'a')?.data?.v === String(i));
    }
    expect(changes).toEqual(['+a=0', ...Array.from({ length: 20 }, (_, i) => `~a=${i}>${i + 1}`)]);
  });

  it('opens another watch when nothing arrives for too long', async () => {
    await put('a', '1');
    await start({ inactivityTimeoutMs: 30 }).synced();
    await eventually(
      'a third watch',
      () => api.requests.filter(({ query }) => query.has('watch')).length >= 3,
    );
    await put('a', '2');
    await seen('+a=1', '~a=1>2');
    expect(api.requests.filter(({ query }) => query.get('limit') !== null)).toHaveLength(1);
  });

  it('waits longer and longer while the server refuses, then catches up', async () => {
    api.intercept = () => ({ status: 500, raw: 'broken' });
    const started = start();
    await eventually('three tries', () => api.requests.length >= 3);
    expect(started.hasSynced).toBe(false);
    api.intercept = undefined;
    await put('a', '1');
    await started.synced();
    await seen('+a=1');
  });

  it('finds objects by index, through updates and deletes', async () => {
    await put('a', 'x');
    await put('b', 'x');
    const started = start({ indexes: { value: (object) => [object.data?.v ?? ''] } });
    await started.synced();
    await watching();
    const names = (key: string): string[] =>
      started.byIndex('value', key).map(({ metadata }) => metadata.name);
    expect(names('x').toSorted()).toEqual(['a', 'b']);
    await put('b', 'y');
    await remove('a');
    await eventually('both changes', () => changes.length === 4);
    expect(names('x')).toEqual([]);
    expect(names('y')).toEqual(['b']);
  });

  it('keeps one namespace apart, transforms, and tells a late handler what is there', async () => {
    await put('a', '1');
    await put('b', '1', 'other');
    const started = start({
      namespace: 'other',
      transform: (object) => ({ ...object, data: { v: 'hidden' } }),
    });
    await started.synced();
    await seen('+b=hidden');
    const late: string[] = [];
    started.onChange({ add: (object) => late.push(object.metadata.name) });
    expect(late).toEqual(['b']);
  });

  it('ends its watch when closed, and refuses those who wait for a list that never came', async () => {
    api.intercept = () => ({ status: 500 });
    const started = start();
    const waiting = started.synced();
    await started.close();
    await expect(waiting).rejects.toThrow('configmaps was closed');
    await eventually('no watch', () => api.openWatches === 0);
  });
});
