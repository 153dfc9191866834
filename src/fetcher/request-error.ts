/** A request that fails: its status, and the text that Fission's callers put into logs and statuses. */
export class RequestError extends Error {
  readonly status: number;
  /** Whether the same request may succeed later. */
  readonly isPassing: boolean;

  constructor(status: number, message: string, options: { cause?: unknown; isPassing?: boolean } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'RequestError';
    this.status = status;
    this.isPassing = options.isPassing ?? false;
  }
}
