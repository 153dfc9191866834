import type { ResourceKind } from './limits.ts';
import type { GuestState } from './state.ts';

/**
 * A resource that a guest holds a handle to. Counts handles against their cap, and keeps the component model's
 * order: a parent that is dropped before its children traps the guest.
 */
export abstract class Resource {
  /** Whether it goes on working in an instance that keeps its state, for whichever request runs. */
  lasting = false;
  #state: GuestState;
  readonly #kind: ResourceKind;
  readonly #parent: Resource | undefined;
  #children = 0;
  #gone = false;

  constructor(state: GuestState, kind: ResourceKind, parent?: Resource) {
    state.acquire(kind);
    this.#state = state;
    this.#kind = kind;
    this.#parent = parent;
    if (parent) parent.#children += 1;
  }

  /** For whom it works. */
  get state(): GuestState {
    return this.#state;
  }

  /** Works for another request from now on: only what is {@link lasting}. */
  adopt(state: GuestState): void {
    state.acquire(this.#kind);
    this.#state = state;
  }

  /** Whether the guest holds it no more: dropped, or given to the host. */
  get gone(): boolean {
    return this.#gone;
  }

  /** The guest dropped its handle. */
  [Symbol.dispose](): void {
    if (this.#gone) return;
    this.#leave('dropped');
    this.dropped();
  }

  /** The guest gave its handle to a host function, which answers for the resource from now on. */
  giveAway(): void {
    if (this.#gone) this.state.trap(`the function used a ${this.#kind} that it had given away`);
    this.#leave('gave away');
  }

  /** What a drop by the guest ends. */
  protected dropped(): void {
    // Most resources hold nothing but memory.
  }

  #leave(verb: string): void {
    // After the end glue code may drop in any order; nobody is left to tell.
    if (this.#children > 0 && !this.state.stop) {
      this.state.trap(`the function ${verb} its ${this.#kind} while children of it were alive`);
    }
    this.#gone = true;
    this.state.release(this.#kind);
    if (this.#parent) this.#parent.#children -= 1;
  }
}
