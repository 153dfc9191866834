import { setTimeout as delay } from 'node:timers/promises';

import type { Logger } from 'pino';

import { isApiError } from './api-error.ts';
import { Backoff } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { keyOf, type KubeObject, type ResourceType } from './resources.ts';
import { type IndexFunction, ObjectStore } from './store.ts';
import { WatchInactiveError, watchEvents } from './watch.ts';

export interface InformerHandler<T> {
  add?(object: T): void;
  update?(object: T, before: T): void;
  delete?(object: T): void;
}

export interface InformerOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly type: ResourceType;
  readonly logger: Logger;
  /** @default all namespaces */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>;
  /** Applied to each object before it is stored, to drop what need not stay in memory. */
  readonly transform?: (object: T) => T;
  /** Objects for which it is false are as if they were not there. @default all are kept */
  readonly keep?: (object: T) => boolean;
  /** Objects in one page of a list. @default 500 */
  readonly pageSize?: number;
  /** @default 5 minutes, and as much again at random */
  readonly serverTimeoutMs?: number;
  /** @default 90000 */
  readonly inactivityTimeoutMs?: number;
  /** @default 200 */
  readonly backoffBaseMs?: number;
  /** Short: an API server that is back is to be seen back. @default 5000 */
  readonly backoffCapMs?: number;
}

/** A watch that ends sooner than this without an event counts as a failure, lest it be opened in a tight loop. */
const SHORTEST_GOOD_WATCH_MS = 1000;

/**
 * Keeps all objects of one kind in memory by a list and a watch from there, and tells handlers what changed.
 * Any error leads to a new list, after a growing delay; a watch that just ends goes on from where it was. An
 * object that a relist finds unchanged is not delivered again; one that was replaced by another of the same
 * name is delivered as a delete and an add. Handlers run synchronously, in order, and must not throw.
 */
export class Informer<T extends KubeObject> {
  readonly #options: InformerOptions<T>;
  readonly #store: ObjectStore<T>;
  readonly #handlers = new Set<InformerHandler<T>>();
  readonly #stop = new AbortController();
  readonly #backoff: Backoff;
  readonly #firstList = Promise.withResolvers<void>();
  readonly #logger: Logger;
  #running: Promise<void> | undefined;
  #hasSynced = false;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#store = new ObjectStore(options.indexes);
    this.#backoff = new Backoff(options.backoffBaseMs ?? 200, options.backoffCapMs ?? 5_000);
    this.#logger = options.logger.child({ component: 'informer', kind: options.type.kind });
    // Nobody need wait for it.
    this.#firstList.promise.catch(() => {});
  }

  /** Whether the first list is complete. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Resolves after the first complete list; rejects when the informer is closed before. */
  synced(): Promise<void> {
    return this.#firstList.promise;
  }

  /** What is known now; may be behind the server. Do not change the objects. */
  get store(): Omit<ObjectStore<T>, 'put' | 'delete'> {
    return this.#store;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#store.get(namespace, name);
  }

  byIndex(index: string, key: string): T[] {
    return this.#store.byIndex(index, key);
  }

  /** Adds a handler; it is told of what is already there by `add`. Returns a function that removes it. */
  onChange(handler: InformerHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.#store.values()) this.#call(() => handler.add?.(object));
    return () => {
      this.#handlers.delete(handler);
    };
  }

  start(): this {
    this.#running ??= this.#run();
    return this;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#firstList.reject(new Error(`the informer of ${this.#options.type.plural} was closed`));
    this.#handlers.clear();
    await this.#running;
  }

  async #run(): Promise<void> {
    let resourceVersion: string | undefined;
    while (!this.#stop.signal.aborted) {
      try {
        resourceVersion ??= await this.#list();
        const openedAtMs = performance.now();
        const seen = await this.#watch(resourceVersion);
        const wasShort = performance.now() - openedAtMs < SHORTEST_GOOD_WATCH_MS;
        if (wasShort && seen.events === 0) await this.#pause();
        else this.#backoff.reset();
        ({ resourceVersion } = seen);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        resourceVersion = undefined;
        await this.#recover(error);
      }
    }
  }

  async #recover(error: unknown): Promise<void> {
    if (isApiError(error) && error.status === 410) {
      this.#logger.debug({ err: error }, 'the watched version is gone, listing again');
    } else {
      this.#logger.warn({ err: error }, 'list or watch failed, listing again');
    }
    await this.#pause();
  }

  async #pause(): Promise<void> {
    await delay(this.#backoff.next(), undefined, { signal: this.#stop.signal }).catch(() => {});
  }

  /** Lists in pages and tells the differences. Returns the version from which to watch. */
  async #list(): Promise<string> {
    const { client, type, namespace, labelSelector, fieldSelector, pageSize = 500 } = this.#options;
    const listed: T[] = [];
    let resourceVersion: string | undefined;
    const pages = client.listPages<T>(type, namespace, {
      labelSelector,
      fieldSelector,
      limit: pageSize,
      signal: this.#stop.signal,
    });
    for await (const page of pages) {
      // The first page's version: where a server does not serve all pages from one moment, the watch repeats
      // what came between rather than missing it.
      resourceVersion ??= page.metadata.resourceVersion;
      // Transformed page by page, so that what is dropped does not pile up.
      for (const item of page.items) if (this.#keeps(item)) listed.push(this.#transform(item));
    }
    if (resourceVersion === undefined || resourceVersion === '') {
      throw new Error(`the list of ${type.plural} has no resourceVersion`);
    }
    const gone = new Set(this.#store.keys());
    for (const object of listed) gone.delete(keyOf(object));
    for (const key of gone) this.#deleted(key);
    for (const object of listed) this.#changed(object);
    this.#hasSynced = true;
    this.#firstList.resolve();
    return resourceVersion;
  }

  /** Follows the watch to its end. Returns the version from which to go on. */
  async #watch(from: string): Promise<{ resourceVersion: string; events: number }> {
    const { client, type, namespace, labelSelector, fieldSelector } = this.#options;
    const { serverTimeoutMs = 300_000 * (1 + Math.random()), inactivityTimeoutMs = 90_000 } = this.#options;
    const seen = { resourceVersion: from, events: 0 };
    const events = watchEvents<T>(client, type, {
      namespace,
      labelSelector,
      fieldSelector,
      resourceVersion: from,
      serverTimeoutMs,
      inactivityTimeoutMs,
      signal: this.#stop.signal,
    });
    try {
      for await (const event of events) {
        seen.events += 1;
        if (event.type === 'DELETED') this.#deleted(keyOf(event.object), this.#transform(event.object));
        else if (event.type !== 'BOOKMARK' && !this.#keeps(event.object)) this.#deleted(keyOf(event.object));
        else if (event.type !== 'BOOKMARK') this.#changed(this.#transform(event.object));
        seen.resourceVersion = event.object.metadata.resourceVersion ?? seen.resourceVersion;
      }
    } catch (error) {
      if (!(error instanceof WatchInactiveError)) throw error;
      this.#logger.debug('the watch was silent for too long, opening another');
    }
    return seen;
  }

  #transform(object: T): T {
    return this.#options.transform?.(object) ?? object;
  }

  #keeps(object: T): boolean {
    return this.#options.keep?.(object) ?? true;
  }

  #changed(object: T): void {
    const before = this.#store.get(object.metadata.namespace, object.metadata.name);
    if (before === undefined) {
      this.#store.put(object);
      this.#tell((handler) => handler.add?.(object));
    } else if (before.metadata.uid !== object.metadata.uid) {
      this.#deleted(keyOf(object));
      this.#changed(object);
    } else if (before.metadata.resourceVersion !== object.metadata.resourceVersion) {
      this.#store.put(object);
      this.#tell((handler) => handler.update?.(object, before));
    }
  }

  #deleted(key: string, last?: T): void {
    const before = this.#store.delete(key);
    if (before !== undefined) this.#tell((handler) => handler.delete?.(last ?? before));
  }

  #tell(call: (handler: InformerHandler<T>) => void): void {
    for (const handler of this.#handlers) this.#call(() => call(handler));
  }

  #call(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#logger.error({ err: error }, 'a handler failed');
    }
  }
}
