/** JavaScript Promise Integration, which Node 26 has and TypeScript's `dom` library does not know yet. */
declare namespace WebAssembly {
  class Suspending {
    /** An import that may answer with a promise: then the guest that called it is suspended. */
    constructor(func: Function);
  }

  /** An export whose call returns a promise, so that what it calls may suspend. */
  function promising(func: Function): (...args: unknown[]) => Promise<unknown>;
}
