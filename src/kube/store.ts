import { keyOf, type KubeObject, objectKey } from './resources.ts';

/** The keys under which an index finds an object. */
export type IndexFunction<T> = (object: T) => readonly string[];

/** Objects by namespace and name, with indexes that are kept current by each change. */
export class ObjectStore<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, { keysOf: IndexFunction<T>; objects: Map<string, Set<string>> }>();

  constructor(indexes: Readonly<Record<string, IndexFunction<T>>> = {}) {
    for (const [name, keysOf] of Object.entries(indexes)) {
      this.#indexes.set(name, { keysOf, objects: new Map() });
    }
  }

  get size(): number {
    return this.#objects.size;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(objectKey(namespace, name));
  }

  getByKey(key: string): T | undefined {
    return this.#objects.get(key);
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  /** The objects that an index holds under a key; costs their number, not the store's. */
  byIndex(index: string, key: string): T[] {
    const found: T[] = [];
    for (const objectKey of this.#index(index).objects.get(key) ?? []) {
      const object = this.#objects.get(objectKey);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  /** Stores and returns what was there before. */
  put(object: T): T | undefined {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (before !== undefined) this.#unindex(key, before);
    this.#objects.set(key, object);
    for (const { keysOf, objects } of this.#indexes.values()) {
      for (const indexed of keysOf(object)) {
        const set = objects.get(indexed);
        if (set === undefined) objects.set(indexed, new Set([key]));
        else set.add(key);
      }
    }
    return before;
  }

  delete(key: string): T | undefined {
    const before = this.#objects.get(key);
    if (before === undefined) return undefined;
    this.#unindex(key, before);
    this.#objects.delete(key);
    return before;
  }

  #unindex(key: string, object: T): void {
    for (const { keysOf, objects } of this.#indexes.values()) {
      for (const indexed of keysOf(object)) {
        const set = objects.get(indexed);
        set?.delete(key);
        if (set?.size === 0) objects.delete(indexed);
      }
    }
  }

  #index(name: string): { objects: Map<string, Set<string>> } {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new Error(`there is no index ${name}`);
    return index;
  }
}
