/** The states of an instance. Only one in which nothing of the guest is left on any stack is ever used again. */
export type InstanceState = 'clean' | 'running' | 'suspended' | 'dirty' | 'dropped';

const NEXT: Readonly<Record<InstanceState, readonly InstanceState[]>> = {
  clean: ['running', 'dropped'],
  running: ['suspended', 'dirty', 'dropped'],
  suspended: ['running', 'dropped'],
  dirty: ['clean', 'dropped'],
  dropped: [],
};

export class Lifecycle {
  #state: InstanceState = 'clean';

  get state(): InstanceState {
    return this.#state;
  }

  /** @throws TypeError where no instance may go from the state that it is in to that one */
  become(next: InstanceState): void {
    if (!NEXT[this.#state].includes(next))
      throw new TypeError(`an instance that is ${this.#state} cannot become ${next}`);
    this.#state = next;
  }

  /** Like `become('dropped')`, also where it is already. */
  drop(): void {
    this.#state = 'dropped';
  }
}
