import type { Logger } from 'pino';

import {
  Informer,
  type InformerHandler,
  type KubeClient,
  type KubeObject,
  type ResourceType,
  splitKey,
} from '../kube/index.ts';
import type { WatchedKind } from './watched.ts';

export interface NamedKindOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly type: ResourceType;
  readonly transform?: (object: T) => T;
}

/**
 * Objects of one kind that are watched one by one, by their names, for those who may read these and no others:
 * Kubernetes grants `watch` on names only to a watch of a single one.
 */
export class NamedKind<T extends KubeObject> implements WatchedKind<T> {
  readonly type: ResourceType;
  readonly #options: NamedKindOptions<T>;
  readonly #informers = new Map<string, Informer<T>>();
  readonly #handlers: InformerHandler<T>[] = [];
  readonly #closing = new Set<Promise<void>>();

  constructor(options: NamedKindOptions<T>) {
    this.#options = options;
    this.type = options.type;
  }

  /** Watches exactly these from now on, `namespace/name` each. */
  want(keys: ReadonlySet<string>): void {
    for (const [key, informer] of this.#informers) {
      if (keys.has(key)) continue;
      this.#informers.delete(key);
      const closing = informer.close().finally(() => this.#closing.delete(closing));
      this.#closing.add(closing);
    }
    for (const key of keys) {
      if (this.#informers.has(key)) continue;
      const { namespace, name } = splitKey(key);
      const informer = new Informer<T>({
        ...this.#options,
        namespace,
        fieldSelector: `metadata.name=${name}`,
      });
      for (const handler of this.#handlers) informer.onChange(handler);
      this.#informers.set(key, informer);
      informer.start();
    }
  }

  covers(): boolean {
    return true;
  }

  get(namespace: string, name: string): T | undefined {
    return this.#informers.get(`${namespace}/${name}`)?.get(namespace, name);
  }

  getByKey(key: string): T | undefined {
    const { namespace, name } = splitKey(key);
    return this.get(namespace, name);
  }

  /** There are no indexes: whoever asks by one gets nothing. */
  byIndex(): T[] {
    return [];
  }

  keys(): string[] {
    return [...this.#informers.values()].flatMap((informer) => [...informer.store.keys()]);
  }

  onChange(handler: InformerHandler<T>): void {
    this.#handlers.push(handler);
    for (const informer of this.#informers.values()) informer.onChange(handler);
  }

  start(): void {
    // Each is started when it is wanted.
  }

  synced(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.want(new Set());
    await Promise.all(this.#closing);
  }
}
