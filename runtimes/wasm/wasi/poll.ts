/** `wasi:io/poll`. */
import { POLL_LIST_CAP, WAIT_WEIGHT } from './limits.ts';
import type { Disarm, Readiness } from './readiness.ts';
import { Resource } from './resource.ts';
import type { GuestState } from './state.ts';

export class Pollable extends Resource {
  readonly #readiness: Readiness;

  /** @param parent what was subscribed to, where the interface makes the pollable its child */
  constructor(state: GuestState, readiness: Readiness, parent?: Resource) {
    super(state, 'pollable', parent);
    this.#readiness = readiness;
  }

  get readiness(): Readiness {
    return this.#readiness;
  }

  ready(): boolean {
    this.state.check();
    return this.#readiness.isReady();
  }

  block(): Promise<void> | undefined {
    return this.state.until(this.#readiness);
  }
}

/** Indices of those that are ready, at least one; waits for the first. Traps on an empty list. */
export function poll(state: GuestState, pollables: readonly Pollable[]): Uint32Array | Promise<Uint32Array> {
  state.check();
  if (pollables.length === 0) state.trap('poll was called with an empty list');
  if (pollables.length > POLL_LIST_CAP) {
    state.trap(`poll was called with ${pollables.length} pollables; ${POLL_LIST_CAP} are allowed`);
  }
  const any: Readiness = {
    isReady: () => pollables.some((pollable) => pollable.readiness.isReady()),
    arm: (wake) => {
      const disarms: Disarm[] = pollables.map((pollable) => pollable.readiness.arm(wake));
      return () => {
        for (const disarm of disarms) disarm();
      };
    },
  };
  const weight = pollables.length * WAIT_WEIGHT;
  state.hold(weight);
  const wait = state.until(any);
  if (wait) return wait.finally(() => state.hold(-weight)).then(() => readyIndices(pollables));
  state.hold(-weight);
  return readyIndices(pollables);
}

function readyIndices(pollables: readonly Pollable[]): Uint32Array {
  const indices: number[] = [];
  for (const [index, pollable] of pollables.entries()) {
    if (pollable.readiness.isReady()) indices.push(index);
  }
  return Uint32Array.from(indices);
}
