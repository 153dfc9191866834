import { Informer, type InformerHandler, type InformerOptions } from './informer.ts';
import { type KubeObject, splitKey } from './resources.ts';

export type InformersOptions<T extends KubeObject> = Omit<InformerOptions<T>, 'namespace'> & {
  /** Which are watched, each by itself; empty for all, by one watch. */
  readonly namespaces: readonly string[];
};

/** All objects of one kind in the namespaces that an installation is for, as {@link Informer} has those of one. */
export class Informers<T extends KubeObject> {
  readonly #all: readonly Informer<T>[];
  readonly #byNamespace = new Map<string, Informer<T>>();

  constructor({ namespaces, ...options }: InformersOptions<T>) {
    for (const namespace of namespaces)
      this.#byNamespace.set(namespace, new Informer<T>({ ...options, namespace }));
    this.#all = namespaces.length === 0 ? [new Informer<T>(options)] : [...this.#byNamespace.values()];
  }

  /** Whether this namespace is watched at all. */
  covers(namespace: string): boolean {
    return this.#of(namespace) !== undefined;
  }

  get(namespace: string, name: string): T | undefined {
    return this.#of(namespace)?.get(namespace, name);
  }

  getByKey(key: string): T | undefined {
    const { namespace, name } = splitKey(key);
    return this.get(namespace, name);
  }

  byIndex(index: string, key: string): T[] {
    return this.#all.flatMap((informer) => informer.byIndex(index, key));
  }

  keys(): string[] {
    return this.#all.flatMap((informer) => [...informer.store.keys()]);
  }

  *values(): Generator<T> {
    for (const informer of this.#all) yield* informer.store.values();
  }

  /** Adds a handler, see {@link Informer.onChange}. Returns a function that removes it. */
  onChange(handler: InformerHandler<T>): () => void {
    const undo = this.#all.map((informer) => informer.onChange(handler));
    return () => {
      for (const each of undo) each();
    };
  }

  start(): this {
    for (const informer of this.#all) informer.start();
    return this;
  }

  /** Resolves after the first complete list of each; rejects when they are closed before. */
  async synced(): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.synced()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.close()));
  }

  #of(namespace: string): Informer<T> | undefined {
    return this.#byNamespace.size === 0 ? this.#all[0] : this.#byNamespace.get(namespace);
  }
}
