import { GuestTrap, type GuestState, type StateSource } from '../wasi/index.ts';

/** Whom the instance's host functions work for: the invocation that runs. */
export class CurrentInvocation implements StateSource {
  current: GuestState | null = null;

  get state(): GuestState {
    return this.current ?? outsideOfRequests();
  }
}

function outsideOfRequests(): never {
  throw new GuestTrap('the function called its host outside of any request');
}
