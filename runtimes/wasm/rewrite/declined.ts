/** What kept a module from being rewritten: bytes that make no sense, or an encoding that is not known here. */
export type DeclineReason = 'malformed' | 'unknown-encoding';

/**
 * Thrown by every rewriter in this folder instead of guessing. The module itself may be perfectly good; the
 * caller runs it unrewritten and bounds it by other means.
 */
export class RewriteDeclined extends Error {
  readonly reason: DeclineReason;
  /** Where in the module, bytes from its start; -1 where no place can be named. */
  readonly offset: number;

  constructor(reason: DeclineReason, detail: string, offset: number) {
    super(offset < 0 ? detail : `${detail} at byte ${offset}`);
    this.name = 'RewriteDeclined';
    this.reason = reason;
    this.offset = offset;
  }
}
