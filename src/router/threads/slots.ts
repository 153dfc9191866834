/** Which words of the shared counts belong to which function. */
import type { SharedCounts } from '../shared-counts.ts';

export class Slots {
  readonly #counts: SharedCounts;
  readonly #slots = new Map<string, number>();
  /** Of functions that are gone; requests of theirs may still run. */
  readonly #released: number[] = [];
  #next = 0;

  constructor(counts: SharedCounts) {
    this.#counts = counts;
  }

  /** The function's slot, which it keeps until it is released. */
  readonly of = (key: string): number => {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const free = this.#released.findIndex((slot) => this.#counts.isFree(slot));
    const slot = free < 0 ? this.#next++ : (this.#released.splice(free, 1)[0] ?? this.#next++);
    this.#slots.set(key, slot);
    return slot;
  };

  release(key: string): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    this.#released.push(slot);
  }
}
