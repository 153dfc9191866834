import { describe, expect, test } from 'vitest';
import { parseSelection } from '../objects/selection.ts';
import type { Store } from '../store/store.ts';
import { configMap, keyOf, resource, temporaryStore } from '../testing/objects.ts';
import { WatchHub } from './hub.ts';
import { Watcher, type WatchOptions } from './watcher.ts';

/** A client that takes as many events as it is allowed to. */
class Client {
  readonly events: {
    type: string;
    object: { metadata: { name: string; resourceVersion: string }; code?: number };
  }[] = [];
  ended = false;
  credit = Number.MAX_SAFE_INTEGER;

  write(text: string): boolean {
    this.events.push(JSON.parse(text) as Client['events'][number]);
    this.credit--;
    return this.credit > 0;
  }

  end(): void {
    this.ended = true;
  }

  get told(): string[] {
    return this.events.map(({ type, object }) => `${type} ${object.metadata.name ?? object.code}`);
  }
}

const options = (more: Partial<WatchOptions> = {}, query = ''): WatchOptions => ({
  selection: parseSelection(resource('configmaps'), 'default', new URLSearchParams(query)),
  form: 'object',
  includeObject: 'Metadata',
  sinceRv: undefined,
  bookmarks: true,
  initialEventsEnd: false,
  ...more,
});

const put = (store: Store, name: string, data: Record<string, string> = {}) =>
  store.write((transaction) => transaction.put(keyOf(name), configMap(name, data)));

describe('Watcher', () => {
  test('sends what is there, then each change once, whatever its resource and namespace neighbours do', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const hub = new WatchHub(store);
    await put(store, 'a');
    const client = new Client();
    hub.add(new Watcher(store, options(), client), () => {});
    await Promise.all([
      put(store, 'b'),
      store.write((transaction) => transaction.put(keyOf('c', 'other'), configMap('c'))),
      store.write((transaction) => transaction.put(keyOf('d', 'default', 'secrets'), configMap('d'))),
      put(store, 'a', { x: '1' }),
    ]);
    await store.write((transaction) => transaction.remove(keyOf('b')));
    expect(client.told).toEqual(['ADDED a', 'ADDED b', 'MODIFIED a', 'DELETED b']);
    hub.close();
    expect(client.ended).toBe(true);
  });

  test('a slow client misses nothing and holds nothing up', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const hub = new WatchHub(store);
    for (let i = 0; i < 10; i++) await put(store, `initial-${i}`);
    const slow = new Client();
    const fast = new Client();
    slow.credit = 3;
    const watcher = new Watcher(store, options(), slow);
    hub.add(watcher, () => {});
    hub.add(new Watcher(store, options(), fast), () => {});
    for (let i = 0; i < 500; i++) await put(store, 'hot', { i: String(i) });
    expect(slow.events).toHaveLength(3);
    expect(fast.events).toHaveLength(510);
    while (slow.events.length < 510) {
      slow.credit = 7;
      watcher.resume();
    }
    expect(slow.told).toEqual(fast.told);
    hub.close();
  });

  test('a client that is too slow for the history is told 410', async () => {
    using temporary = temporaryStore({ historyChanges: 20 });
    const { store } = temporary;
    const hub = new WatchHub(store);
    const client = new Client();
    client.credit = 1;
    const watcher = new Watcher(store, options({ sinceRv: 0 }), client);
    hub.add(watcher, () => {});
    for (let i = 0; i < 60; i++) await put(store, 'hot', { i: String(i) });
    client.credit = 10;
    watcher.resume();
    expect(client.told).toEqual(['ADDED hot', 'ERROR 410']);
    expect(client.ended).toBe(true);
    hub.close();
  });

  test('a client that takes nothing for too long is dropped', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const hub = new WatchHub(store, { slowLimitMs: 10 });
    const client = new Client();
    client.credit = 1;
    await put(store, 'a');
    await new Promise<void>((resolve) => hub.add(new Watcher(store, options(), client), resolve));
    expect(hub.size).toBe(0);
    hub.close();
  });

  test('bookmarks say how far everything was seen, past changes of others', async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const hub = new WatchHub(store);
    const client = new Client();
    const watcher = new Watcher(store, options({ sinceRv: 0 }, 'labelSelector=a%3Db'), client);
    hub.add(watcher, () => {});
    await put(store, 'unlabelled');
    await store.write((transaction) => transaction.put(keyOf('s', 'default', 'secrets'), configMap('s')));
    watcher.bookmark();
    expect(client.events).toMatchObject([
      { type: 'BOOKMARK', object: { metadata: { resourceVersion: '2' } } },
    ]);
    hub.close();
  });
});
