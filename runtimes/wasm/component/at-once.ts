/** When a request is tried without a stack of the guest's own, and with which instances. */

/** So many calls in a row that did not wait, before the first try. */
const FIRST_CALLS = 32;
/** Failed tries make the next one later, up to so many calls; */
const MOST_CALLS = 2 ** 20;
/** and so many in a row that did not fail make it earlier again. */
const GOOD_TRIES = 1024;

/**
 * A guest that may have to wait needs a stack of its own, which can be suspended: a seventh of what a short request
 * costs, and objects that V8 keeps until it collects the whole heap. Most functions never wait; but only a run shows
 * it, and one that turns out to wait has to be made a second time. So a function earns its tries, and each that fails
 * makes the next twice as dear. To give way is to wait as well, and on a busy machine any guest may be asked to: so good
 * tries make up for bad ones.
 */
export class AtOnce<Pool extends { close(): void }> {
  readonly #makePool: () => Pool;
  readonly #possible: boolean;
  #pool: Pool | null = null;
  #needed = FIRST_CALLS;
  #calls = 0;
  #good = 0;

  /** @param possible whether a request can be given up, and run again */
  constructor(makePool: () => Pool, possible: boolean) {
    this.#makePool = makePool;
    this.#possible = possible;
  }

  /** Instances that run on their caller's stack; made when somebody asks for them first. */
  get pool(): Pool {
    return (this.#pool ??= this.#makePool());
  }

  get worthwhile(): boolean {
    return this.#calls >= this.#needed;
  }

  /** A request was run on a stack of its own. */
  ran(waited: boolean): void {
    if (this.#possible) this.#calls = waited ? 0 : this.#calls + 1;
  }

  /** A request was tried. */
  tried(done: boolean): void {
    if (done) {
      if (++this.#good < GOOD_TRIES) return;
      this.#needed = Math.max(this.#needed / 2, FIRST_CALLS);
    } else {
      this.#calls = 0;
      this.#needed = Math.min(this.#needed * 2, MOST_CALLS);
    }
    this.#good = 0;
  }

  close(): void {
    this.#pool?.close();
  }
}
