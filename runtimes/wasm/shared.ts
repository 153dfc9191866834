/** What several have together: made for the first that asks, and gone with the last that lets go. */

interface Entry<Value> {
  readonly value: Value;
  users: number;
}

export class Shared<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #onUnused: (value: Value) => void;

  /** @param onUnused told of what nobody has any more */
  constructor(onUnused: (value: Value) => void = () => undefined) {
    this.#onUnused = onUnused;
  }

  /** How many different things there are. */
  get size(): number {
    return this.#entries.size;
  }

  /** For one more user, who calls {@link release} once. Throws what making it throws; then there is no user. */
  take(key: string, make: () => Value): Value {
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = { value: make(), users: 0 };
      this.#entries.set(key, entry);
    }
    entry.users++;
    return entry.value;
  }

  /** Returns whether nobody has it any more. */
  release(key: string): boolean {
    const entry = this.#entries.get(key);
    if (!entry || --entry.users > 0) return false;
    this.#entries.delete(key);
    this.#onUnused(entry.value);
    return true;
  }
}
