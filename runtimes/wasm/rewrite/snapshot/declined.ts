/** Why a module has to run its initialiser itself: nothing is wrong with it. */
export class SnapshotDeclined extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'SnapshotDeclined';
  }
}
