/** Undoes an `arm`. May be called more than once, and after the wake-up. */
export type Disarm = () => void;

/** Something a guest can wait for. */
export interface Readiness {
  /** Whether waiting would end at once. May start the work that makes it ready. */
  isReady(): boolean;
  /** Calls `wake` when it may have become ready; ask `isReady` again then. */
  arm(wake: () => void): Disarm;
}

export const NOTHING_TO_DISARM: Disarm = () => undefined;

export const ALWAYS_READY: Readiness = {
  isReady: () => true,
  arm: (wake) => {
    wake();
    return NOTHING_TO_DISARM;
  },
};

/** Those who wait for one thing to happen. */
export class WakeList {
  /** Made when somebody waits: most never do. */
  #waiting: Set<() => void> | null = null;

  arm(wake: () => void): Disarm {
    const waiting = (this.#waiting ??= new Set());
    waiting.add(wake);
    return () => waiting.delete(wake);
  }

  notify(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    this.#waiting = null;
    for (const wake of waiting) wake();
  }
}
