import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { OwnerReference } from '../object.ts';
import { deleteObject } from '../objects/delete.ts';
import type { Store } from '../store/store.ts';
import { configMap, keyOf, resource, temporaryStore } from '../testing/objects.ts';
import { Expiry } from './expiry.ts';
import { GarbageCollector } from './gc.ts';
import { ensureNamespaces, NamespaceLifecycle } from './namespaces.ts';
import { WorkQueue } from './work-queue.ts';

const logger = pino({ level: 'silent' });

const ownedBy = (name: string, more: Partial<OwnerReference> = {}): OwnerReference => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  name,
  uid: `uid-${name}`,
  ...more,
});

const put = (store: Store, name: string, ownerReferences: OwnerReference[] = [], finalizers: string[] = []) =>
  store.write((transaction) =>
    transaction.put(keyOf(name), configMap(name, {}, { ownerReferences, finalizers })),
  );

const destroy = (store: Store, name: string, propagation: 'Background' | 'Foreground' | 'Orphan') =>
  deleteObject(store, resource('configmaps'), keyOf(name), { dryRun: false, propagation });

const names = (store: Store) => store.list({ resource: 'configmaps' }).map(({ key }) => key.name);

/** Resolves when the store is as wanted; the test's timeout ends it otherwise. */
const until = (store: Store, wanted: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    if (wanted()) return resolve();
    const stop = store.onChanges(() => {
      if (!wanted()) return;
      stop();
      resolve();
    });
  });

describe('GarbageCollector', () => {
  test('collects along a chain, and keeps what has another owner, which it then names alone', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const collector = new GarbageCollector(store, logger);
    await put(store, 'root');
    await put(store, 'second');
    await put(store, 'child', [ownedBy('root')]);
    await put(store, 'grandchild', [ownedBy('child')]);
    await put(store, 'shared', [ownedBy('root'), ownedBy('second')]);
    await put(store, 'foreign', [ownedBy('pod', { kind: 'Pod' })]);
    await destroy(store, 'root', 'Background');
    await until(store, () => !names(store).includes('grandchild'));
    await until(store, () => store.get(keyOf('shared'))?.object.metadata.ownerReferences?.length === 1);
    expect(names(store)).toEqual(['foreign', 'second', 'shared']);
    collector.close();
  });

  test('an owner of the same name and another uid is no owner', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const collector = new GarbageCollector(store, logger);
    await put(store, 'root');
    await put(store, 'child', [ownedBy('root', { uid: 'of-an-earlier-root' })]);
    await until(store, () => !names(store).includes('child'));
    expect(names(store)).toEqual(['root']);
    collector.close();
  });

  test('finishes at its start what was left when the process ended', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    await put(store, 'root');
    await put(store, 'child', [ownedBy('root')]);
    await destroy(store, 'root', 'Background');
    expect(names(store)).toEqual(['child']);
    const collector = new GarbageCollector(temporary.reopen(), logger);
    await until(temporary.store, () => names(temporary.store).length === 0);
    collector.close();
  });

  test('foreground: the owner goes after those that block it, orphan: they stay without it', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const collector = new GarbageCollector(store, logger);
    await put(store, 'root');
    await put(store, 'blocking', [ownedBy('root', { blockOwnerDeletion: true })], ['example.com/hold']);
    await put(store, 'free', [ownedBy('root')], ['example.com/hold']);
    await destroy(store, 'root', 'Foreground');
    await until(store, () => store.get(keyOf('blocking'))?.object.metadata.deletionTimestamp !== undefined);
    expect(store.get(keyOf('root'))?.object.metadata).toMatchObject({ finalizers: ['foregroundDeletion'] });
    await store.write((transaction) => transaction.remove(keyOf('blocking')));
    await until(store, () => !names(store).includes('root'));
    expect(names(store)).toEqual(['free']);

    await put(store, 'left');
    await put(store, 'orphan', [ownedBy('left')]);
    await destroy(store, 'left', 'Orphan');
    expect(store.get(keyOf('orphan'))?.object.metadata).not.toHaveProperty('ownerReferences');
    collector.close();
  });
});

describe('namespaces', () => {
  const destroyNamespace = (store: Store, name: string) =>
    deleteObject(store, resource('namespaces'), keyOf(name, '', 'namespaces'), {
      dryRun: false,
      propagation: 'Background',
    });

  test('go with all their content, also if that began before a restart', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    await ensureNamespaces(store, ['default', 'team']);
    await ensureNamespaces(store, ['default', 'team']);
    expect(store.rv).toBe(2);
    await Promise.all(
      Array.from({ length: 450 }, (_, index) =>
        store.write((transaction) => transaction.put(keyOf(`m${index}`, 'team'), configMap(`m${index}`))),
      ),
    );
    await put(store, 'elsewhere');
    await destroyNamespace(store, 'team');
    const reopened = temporary.reopen();
    const lifecycle = new NamespaceLifecycle(reopened, logger);
    await until(reopened, () => reopened.get(keyOf('team', '', 'namespaces')) === undefined);
    expect(names(reopened)).toEqual(['elsewhere']);
    lifecycle.close();
  });
});

describe('Expiry', () => {
  test('removes events an hour after their last change', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const expiry = new Expiry(store, logger);
    const nowMs = Date.parse('2026-01-01T12:00:00Z');
    const event = (name: string, creationTimestamp: string, lastTimestamp?: string) =>
      store.write((transaction) =>
        transaction.put(keyOf(name, 'default', 'events'), {
          ...configMap(name, {}, { creationTimestamp }),
          ...(lastTimestamp === undefined ? {} : { lastTimestamp }),
        }),
      );
    await event('old', '2026-01-01T10:00:00Z');
    await event('old-but-alive', '2026-01-01T10:00:00Z', '2026-01-01T11:30:00Z');
    await event('new', '2026-01-01T11:59:00Z');
    await put(store, 'no-event');
    await expiry.run(nowMs);
    expect(store.list({ resource: 'events' }).map(({ key }) => key.name)).toEqual(['new', 'old-but-alive']);
    expect(names(store)).toEqual(['no-event']);
    expiry.close();
  });
});

describe('WorkQueue', () => {
  test('works a key off once for many additions, again for one while it works, and again after a failure', async () => {
    const worked: string[] = [];
    const failures: unknown[] = [];
    let finish: () => void = () => {};
    const done = new Promise<void>((resolve) => (finish = resolve));
    const queue: WorkQueue<string> = new WorkQueue({
      keyOf: (item) => item,
      work: async (item) => {
        worked.push(item);
        await Promise.resolve();
        if (item === 'again' && worked.length === 1) queue.add('again');
        if (item === 'fails' && failures.length === 0) throw new Error('once');
        if (item === 'fails') finish();
      },
      onError: (error) => failures.push(error),
    });
    queue.add('again');
    queue.add('fails');
    queue.add('fails');
    await done;
    expect(worked).toEqual(['again', 'fails', 'again', 'fails']);
    expect(failures).toHaveLength(1);
    queue.close();
  });
});
