/**
 * A component that is well-formed but uses something that this linker does not take: prepare then gives it to
 * another engine, and the Package's status says why.
 */
export class LinkDeclined extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'LinkDeclined';
  }
}

/**
 * A component that no engine may run: it declares a WASI function with another type than the standard's, so
 * that host code would get values that it does not expect.
 */
export class LinkRefused extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'LinkRefused';
  }
}
