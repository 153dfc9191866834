/**
 * What the pure format modules throw: a fault of the request's text or bytes, with the HTTP status that a
 * Kubernetes API server answers for it. The handlers turn it into a `Status` object.
 */

/** 400 malformed, 413 too many operations, 415 a format that the kind does not take, 422 cannot be applied. */
export type FormatStatus = 400 | 413 | 415 | 422;

/** A request that cannot be understood. The message says what was seen and is safe to show to the caller. */
export class FormatError extends Error {
  readonly status: FormatStatus;

  constructor(status: FormatStatus, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'FormatError';
    this.status = status;
  }
}

/** A patch that is malformed (400), too long (413), or does not fit the object (422). */
export class PatchError extends FormatError {
  override readonly name = 'PatchError';
}

/** A label or field selector that does not parse. */
export class SelectorError extends FormatError {
  override readonly name = 'SelectorError';

  constructor(message: string) {
    super(400, message);
  }
}

/** A protobuf body that does not decode (400), or is of a kind that has no decoder here (415). */
export class ProtobufError extends FormatError {
  override readonly name = 'ProtobufError';
}
