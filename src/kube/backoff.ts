/** Exponential delays with jitter: full doubling up to a cap, each taken between half of it and all of it. */
export class Backoff {
  readonly #baseMs: number;
  readonly #capMs: number;
  #failures = 0;

  constructor(baseMs: number, capMs: number) {
    this.#baseMs = baseMs;
    this.#capMs = capMs;
  }

  /** The delay after one more failure, milliseconds. */
  next(): number {
    const full = Math.min(this.#capMs, this.#baseMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    return full / 2 + (Math.random() * full) / 2;
  }

  reset(): void {
    this.#failures = 0;
  }
}
