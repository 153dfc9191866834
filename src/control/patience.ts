/** How long a state that passes by itself must last before it is written into a status. */
const PATIENCE_MS = 500;

/**
 * Keeps short-lived states (a package being prepared) out of statuses: most are over before anybody could read
 * them, and each would cost two writes.
 */
export class Patience {
  readonly #again: (key: string) => void;
  readonly #since = new Map<string, number>();

  /** @param again has a key reconciled once more, when its patience is over */
  constructor(again: (key: string) => void) {
    this.#again = again;
  }

  /** Whether the key's state has lasted; if not yet, it comes again. */
  isOver(key: string): boolean {
    const since = this.#since.get(key);
    if (since !== undefined) return performance.now() - since >= PATIENCE_MS;
    this.#since.set(key, performance.now());
    // A little later than that, lest it comes a moment too early.
    setTimeout(() => this.#again(key), PATIENCE_MS + 10).unref();
    return false;
  }

  clear(key: string): void {
    this.#since.delete(key);
  }
}
