/**
 * One guest executes at a time in a thread, of course; turns say which. A guest that waits gives its turn back
 * and takes it again before it goes on, so that CPU time is charged to exactly the guest that uses it.
 */
import type { ControlBlock } from './control.ts';
import type { Turn } from './engine.ts';

export class Turns {
  readonly #control: ControlBlock;
  readonly #waiting: (() => void)[] = [];
  #held = false;

  constructor(control: ControlBlock) {
    this.#control = control;
  }

  /** A turn-taker for one life of an instance. */
  for(life: number): Turn {
    let usedUs = 0;
    let enteredAt = 0;
    let holds = false;
    const enter = (): void => {
      holds = true;
      enteredAt = performance.now();
      this.#control.enter(life, usedUs);
    };
    return {
      life,
      take: async () => {
        if (this.#held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
        this.#held = true;
        enter();
      },
      release: () => {
        if (!holds) return;
        holds = false;
        usedUs += Math.round((performance.now() - enteredAt) * 1000);
        this.#control.leave();
        const next = this.#waiting.shift();
        // The turn passes on directly: `#held` stays true, so that nobody slips in between.
        if (next) next();
        else this.#held = false;
      },
    };
  }
}
