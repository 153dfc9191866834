/** When a request is tried without a stack of the guest's own. */

/** So many calls in a row that did not wait, before the first try. */
const FIRST_CALLS = 32;
/** Failed tries make the next one later, up to so many calls; */
const MOST_CALLS = 2 ** 20;
/** and so many in a row that did not fail make it earlier again. */
const GOOD_TRIES = 1024;
/** For a guest that takes no longer than this the answers of others may wait, µs. */
const SHORT_US = 100;

/**
 * A guest that may have to wait needs a stack of its own, which can be suspended: a quarter of the CPU time of a short request,
 * and objects that V8 keeps until it collects the whole heap. Most functions never wait; but only a run shows it, and
 * one that turns out to wait has to be made a second time. So a function earns its tries, and each that fails makes the
 * next twice as dear. To give way is to wait as well, and on a busy machine any guest may be asked to: so good tries
 * make up for bad ones.
 */
export class AtOncePolicy {
  /** Whether a request can be given up, and run again. */
  readonly #possible: boolean;
  #needed = FIRST_CALLS;
  #calls = 0;
  #good = 0;
  #short = false;

  constructor(possible: boolean) {
    this.#possible = possible;
  }

  get worthwhile(): boolean {
    return this.#calls >= this.#needed;
  }

  /** Whether the last try was a matter of microseconds. */
  get short(): boolean {
    return this.#short;
  }

  /** Whether tries have been good for so long that the other way is hardly used. True once in a while. */
  get settled(): boolean {
    return this.#good === FIRST_CALLS;
  }

  /** A request was run on a stack of its own. */
  ran(waited: boolean): void {
    if (this.#possible) this.#calls = waited ? 0 : this.#calls + 1;
  }

  /** There was no room to try. */
  unable(): void {
    this.#calls = 0;
  }

  /** A request was tried. @param usedUs CPU time, µs */
  tried(done: boolean, usedUs: number): void {
    this.#short = done && usedUs <= SHORT_US;
    if (done) {
      if (++this.#good < GOOD_TRIES) return;
      this.#needed = Math.max(this.#needed / 2, FIRST_CALLS);
    } else {
      this.#calls = 0;
      this.#needed = Math.min(this.#needed * 2, MOST_CALLS);
    }
    this.#good = 0;
  }
}
