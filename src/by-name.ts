/** A value for each function, by its namespace and name: found without putting the two together, which costs more. */
export class ByName<Value> {
  readonly #namespaces = new Map<string, Map<string, Value>>();

  get(namespace: string, name: string): Value | undefined {
    return this.#namespaces.get(namespace)?.get(name);
  }

  set(namespace: string, name: string, value: Value): void {
    let names = this.#namespaces.get(namespace);
    if (names === undefined) this.#namespaces.set(namespace, (names = new Map()));
    names.set(name, value);
  }

  delete(namespace: string, name: string): boolean {
    const names = this.#namespaces.get(namespace);
    if (names === undefined || !names.delete(name)) return false;
    if (names.size === 0) this.#namespaces.delete(namespace);
    return true;
  }

  /** In no order that means anything. */
  *values(): Generator<Value> {
    for (const names of this.#namespaces.values()) yield* names.values();
  }

  clear(): void {
    this.#namespaces.clear();
  }
}
