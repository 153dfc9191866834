import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configMap, keyOf, temporaryStore } from '../testing/objects.ts';
import type { Change } from './revision.ts';
import { Store } from './store.ts';

const put = (store: Store, name: string, data: Record<string, string> = {}, namespace = 'default') =>
  store.write((transaction) => transaction.put(keyOf(name, namespace), configMap(name, data, { namespace })));

const remove = (store: Store, name: string) => store.write((transaction) => transaction.remove(keyOf(name)));

const names = (store: Store, options: Partial<Parameters<Store['list']>[0]> = {}) =>
  store.list({ resource: 'configmaps', ...options }).map(({ key }) => `${key.namespace}/${key.name}`);

describe('Store', () => {
  test('gives each change the next resourceVersion, in the object too', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const first = await put(store, 'a');
    const second = await put(store, 'a', { x: '1' });
    const gone = await remove(store, 'a');
    expect([first.rv, second.rv, gone?.rv]).toEqual([1, 2, 3]);
    expect(second.object.metadata.resourceVersion).toBe('2');
    expect(JSON.parse(gone?.json ?? '')).toMatchObject({
      metadata: { resourceVersion: '3' },
      data: { x: '1' },
    });
    expect(store.get(keyOf('a'))).toBeUndefined();
    expect(store.rv).toBe(3);
    expect(temporary.reopen().rv).toBe(3);
  });

  test('commits the writes of one turn together, each on what the ones before it did', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const batches: (readonly Change[])[] = [];
    store.onChanges((changes) => batches.push(changes));
    const results = await Promise.allSettled([
      put(store, 'a'),
      store.write((transaction) => {
        transaction.put(keyOf('undone'), configMap('undone'));
        throw new Error('no');
      }),
      store.write((transaction) => transaction.get(keyOf('a'))?.rv),
      put(store, 'b'),
    ]);
    expect(results.map((result) => result.status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(results[2]).toMatchObject({ value: 1 });
    expect(batches).toHaveLength(1);
    expect(batches[0]?.map((change) => [change.type, change.current.key.name, change.current.rv])).toEqual([
      ['ADDED', 'a', 1],
      ['ADDED', 'b', 2],
    ]);
    expect(store.get(keyOf('undone'))).toBeUndefined();
  });

  test('a dry run answers what would be and keeps nothing', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    let told = 0;
    store.onChanges(() => told++);
    const job = store.write((transaction) => transaction.put(keyOf('dry'), configMap('dry')), {
      dryRun: true,
    });
    expect((await job).object.metadata.name).toBe('dry');
    expect(store.get(keyOf('dry'))).toBeUndefined();
    expect([store.rv, told]).toEqual([0, 0]);
  });

  test('lists by namespace and name, from a place on, up to a limit', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    for (const [namespace, name] of [
      ['b', 'a'],
      ['a', 'z'],
      ['a', 'b'],
      ['c', 'a'],
    ] as const) {
      await put(store, name, {}, namespace);
    }
    expect(names(store)).toEqual(['a/b', 'a/z', 'b/a', 'c/a']);
    expect(names(store, { namespace: 'a' })).toEqual(['a/b', 'a/z']);
    expect(names(store, { after: { namespace: 'a', name: 'b' }, limit: 2 })).toEqual(['a/z', 'b/a']);
    expect([store.count('configmaps'), store.count('configmaps', 'a')]).toEqual([4, 2]);
  });

  test('lists an earlier state exactly', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    await put(store, 'stays', { v: 'old' });
    await put(store, 'goes', { v: 'old' });
    await put(store, 'changes', { v: 'old' });
    const at = store.rv;
    await remove(store, 'goes');
    await put(store, 'changes', { v: 'new' });
    await put(store, 'comes');
    await put(store, 'goes', { v: 'again' });
    const then = store.list({ resource: 'configmaps', atRv: at });
    expect(then.map(({ key, object }) => [key.name, object['data']])).toEqual([
      ['changes', { v: 'old' }],
      ['goes', { v: 'old' }],
      ['stays', { v: 'old' }],
    ]);
    expect(
      names(store, {
        atRv: at,
        namespace: 'default',
        after: { namespace: 'default', name: 'changes' },
        limit: 1,
      }),
    ).toEqual(['default/goes']);
  });

  test('tells the changes since a resourceVersion, with the states before them', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    await put(store, 'a', { v: '1' });
    const since = store.rv;
    await put(store, 'a', { v: '2' });
    await store.write((transaction) =>
      transaction.put(keyOf('other', 'default', 'secrets'), configMap('other')),
    );
    await remove(store, 'a');
    await put(store, 'a', { v: '3' });
    const told = store
      .changes('configmaps', since, 100)
      .map(({ type, current, previous }) => [type, current.object['data'], previous?.object['data']]);
    expect(told).toEqual([
      ['MODIFIED', { v: '2' }, { v: '1' }],
      ['DELETED', { v: '2' }, { v: '2' }],
      ['ADDED', { v: '3' }, undefined],
    ]);
  });

  test('forgets history over its number of changes and keeps every live object', async () => {
    using temporary = temporaryStore({ historyChanges: 20 });
    const { store } = temporary;
    await put(store, 'old');
    for (let i = 0; i < 50; i++) await put(store, 'hot', { i: String(i) });
    await remove(store, 'hot');
    expect(store.compactedRv).toBeGreaterThan(20);
    expect(store.rv - store.compactedRv).toBeGreaterThanOrEqual(20);
    expect(names(store)).toEqual(['default/old']);
    const { compactedRv, rv } = store;
    expect(store.changes('configmaps', compactedRv, 100).at(0)?.previous).not.toBeNull();
    const again = temporary.reopen();
    expect([again.compactedRv, again.rv]).toEqual([compactedRv, rv]);
  });

  test('forgets history over its number of bytes', async () => {
    using temporary = temporaryStore({ historyBytes: 50_000 });
    const { store } = temporary;
    for (let i = 0; i < 50; i++) await put(store, 'big', { padding: 'x'.repeat(5000) });
    expect(store.compactedRv).toBeGreaterThan(30);
    expect(store.get(keyOf('big'))?.rv).toBe(50);
  });

  test('resourceVersions go on after everything was deleted and forgotten', async () => {
    using temporary = temporaryStore({ historyChanges: 0 });
    await put(temporary.store, 'a');
    await remove(temporary.store, 'a');
    await temporary.store.write(() => undefined);
    expect(temporary.reopen().rv).toBe(2);
  });

  test('finds the objects that an owner owns, as they change', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const owner = (uid: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: uid, uid });
    const own = (uids: string[]) =>
      store.write((transaction) =>
        transaction.put(keyOf('owned'), configMap('owned', {}, { ownerReferences: uids.map(owner) })),
      );
    await own(['u1', 'u2']);
    expect(store.dependants('u1')).toEqual([keyOf('owned')]);
    await own(['u2']);
    expect(store.dependants('u1')).toEqual([]);
    expect(store.owned()).toEqual([keyOf('owned')]);
    await remove(store, 'owned');
    expect(store.owned()).toEqual([]);
  });

  test('on a full disk refuses writes with the reason, goes on reading, and writes again when there is space', async () => {
    using temporary = temporaryStore({ maxBytes: 200 * 1024 });
    const { store } = temporary;
    await put(store, 'first');
    const results: PromiseSettledResult<unknown>[] = [];
    for (let i = 0; i < 40; i++) {
      results.push(
        ...(await Promise.allSettled([put(store, `filler-${i}`, { padding: 'x'.repeat(20_000) })])),
      );
    }
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.reason).toMatchObject({ code: 'STORAGE_FULL' });
    expect(String(refused[0]?.reason)).toContain(temporary.folder);
    expect(store.get(keyOf('first'))?.rv).toBe(1);
    expect(store.rv).toBe(1 + results.length - refused.length);
    expect(names(store)).toHaveLength(store.rv);
    const again = temporary.reopen({});
    await expect(put(again, 'after')).resolves.toMatchObject({ rv: 1 + results.length - refused.length + 1 });
  });

  test('close commits what was accepted and refuses what comes after', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const accepted = put(store, 'accepted');
    store.close();
    await expect(accepted).resolves.toMatchObject({ rv: 1 });
    await expect(put(store, 'late')).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    expect(names(temporary.reopen())).toEqual(['default/accepted']);
  });

  test('loses nothing acknowledged when its process is killed', { timeout: 60_000 }, async () => {
    using temporary = temporaryStore();
    const path = join(temporary.folder, 'killed.db');
    const writer = join(import.meta.dirname, 'testing/endless-writer.ts');
    const acknowledged: string[] = [];
    for (let run = 0; run < 3; run++) {
      const child = spawn(process.execPath, [writer, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      const target = 30 + Math.floor(Math.random() * 60);
      child.stdout.on('data', (chunk: Buffer) => {
        output += String(chunk);
        if (output.split('\n').length > target) child.kill('SIGKILL');
      });
      await once(child, 'close');
      expect(child.signalCode).toBe('SIGKILL');
      acknowledged.push(...output.split('\n').slice(0, -1));
      const store = new Store({ path });
      try {
        const missing = acknowledged.filter((name) => store.get(keyOf(name)) === undefined);
        expect(missing).toEqual([]);
        expect(store.rv).toBeGreaterThanOrEqual(acknowledged.length);
      } finally {
        store.close();
      }
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(90);
  });
});
