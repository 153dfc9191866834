/** Core modules that stay apart, and why: nothing is wrong with them. */
export class MergeDeclined extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'MergeDeclined';
  }
}
