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
