/**
 * Short answers of one turn of the event loop, which are written together at its end, when all that was read has been
 * answered. Whatever may take its time calls {@link HeldWrites.flush} first.
 */

export interface HeldWrite {
  write(): void;
}

/** More are not kept waiting for each other. */
const MOST = 16;

export class HeldWrites {
  /** Whether what is answered now is held: the code that answers is about to end. */
  holds = false;
  #held: HeldWrite[] = [];

  add(write: HeldWrite): void {
    const length = this.#held.push(write);
    if (length === 1) setImmediate(this.#flush);
    else if (length >= MOST) this.flush();
  }

  flush(): void {
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    for (const one of held) one.write();
  }

  readonly #flush = (): void => this.flush();
}

/** The thread's own. */
export const heldWrites = new HeldWrites();
