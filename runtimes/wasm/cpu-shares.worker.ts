/**
 * Which of the guests that compute for long goes on next in a thread: their functions share its CPU time by weight,
 * however many guests each of them has there. A guest that never has to give way costs nothing here.
 */

/** Weight of a function that asks for nothing: 100m. */
export const USUAL_CPU_WEIGHT = 0.1;

/** One function's part of a thread's time. */
export class CpuShare {
  readonly #weight: number;
  /** What its guests have computed, ms by weight, on the thread's clock of such time. */
  usedByWeight = 0;
  /** Its guests that had to give way, first come first. */
  readonly waiting: (() => void)[] = [];

  /** @param weight in proportion to those of others; over 0 */
  constructor(weight: number = USUAL_CPU_WEIGHT) {
    this.#weight = weight;
  }

  /** @param clock of the thread: what a function did not use while it had nothing to compute is not saved up */
  charge(usedMs: number, clock: number): void {
    this.usedByWeight = Math.max(this.usedByWeight, clock) + usedMs / this.#weight;
  }
}

/** The guests of a thread that had to give way. */
export class ComputingGuests {
  /** Those with guests that wait. */
  readonly #shares: CpuShare[] = [];
  /** Where the function was that had its turn last: no other that computes is behind it. */
  #clock = 0;

  get isEmpty(): boolean {
    return this.#shares.length === 0;
  }

  charge(share: CpuShare, usedMs: number): void {
    share.charge(usedMs, this.#clock);
  }

  /** @param resume called when it is the guest's turn */
  add(share: CpuShare, resume: () => void): void {
    if (share.waiting.length === 0) this.#shares.push(share);
    share.waiting.push(resume);
  }

  /** Takes out whoever is next; undefined where nobody waits. */
  next(): (() => void) | undefined {
    let share = this.#shares[0];
    if (share === undefined) return undefined;
    for (const other of this.#shares) if (other.usedByWeight < share.usedByWeight) share = other;
    this.#clock = Math.max(this.#clock, share.usedByWeight);
    const resume = share.waiting.shift();
    if (share.waiting.length === 0) this.#shares.splice(this.#shares.indexOf(share), 1);
    return resume;
  }
}
