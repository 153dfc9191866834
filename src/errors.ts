/**
 * Every failure that a caller can meet has a stable code here, with the HTTP status it answers and whose
 * fault it is. Match on `code`, never on `instanceof`: an Error that crossed a thread has lost its class.
 */

/** Whose fault a failure is: decides the log level and whether the message may be shown outside. */
export type Fault = 'caller' | 'function' | 'platform';

interface ErrorEntry {
  readonly status: number;
  readonly fault: Fault;
}

/** Codes are never reused for another meaning. */
export const ERROR_CODES = {
  // Routing
  NO_ROUTE: { status: 404, fault: 'caller' },
  METHOD_NOT_ALLOWED: { status: 405, fault: 'caller' },
  FUNCTION_NOT_FOUND: { status: 404, fault: 'caller' },
  BAD_REQUEST: { status: 400, fault: 'caller' },
  BODY_TOO_LARGE: { status: 413, fault: 'caller' },
  UPGRADE_NOT_SERVED: { status: 501, fault: 'caller' },
  CLIENT_GONE: { status: 499, fault: 'caller' },
  // Admission
  FUNCTION_BUSY: { status: 429, fault: 'function' },
  PLATFORM_BUSY: { status: 503, fault: 'platform' },
  SHUTTING_DOWN: { status: 503, fault: 'platform' },
  // The function's state
  FUNCTION_NOT_READY: { status: 503, fault: 'function' },
  FUNCTION_FAILED: { status: 502, fault: 'function' },
  ENVIRONMENT_NOT_SERVED: { status: 501, fault: 'platform' },
  // One invocation
  GUEST_TRAPPED: { status: 502, fault: 'function' },
  GUEST_EXITED: { status: 502, fault: 'function' },
  GUEST_NO_RESPONSE: { status: 502, fault: 'function' },
  GUEST_BAD_RESPONSE: { status: 502, fault: 'function' },
  GUEST_OUT_OF_MEMORY: { status: 502, fault: 'function' },
  GUEST_ERROR_CODE: { status: 502, fault: 'function' },
  CPU_LIMIT: { status: 504, fault: 'function' },
  DEADLINE_EXCEEDED: { status: 504, fault: 'function' },
  IDLE_TIMEOUT: { status: 504, fault: 'function' },
  THREAD_LOST: { status: 502, fault: 'platform' },
  // Deploying
  PACKAGE_REFUSED: { status: 422, fault: 'caller' },
  PACKAGE_NOT_FOUND: { status: 404, fault: 'caller' },
  ARCHIVE_NOT_FOUND: { status: 404, fault: 'caller' },
  ARCHIVE_REFUSED: { status: 422, fault: 'caller' },
  ARCHIVE_UNREACHABLE: { status: 502, fault: 'caller' },
  RESOURCE_INVALID: { status: 422, fault: 'caller' },
  PREPARE_TIMEOUT: { status: 422, fault: 'caller' },
  STORAGE_FULL: { status: 507, fault: 'platform' },
  STORAGE_UNREACHABLE: { status: 503, fault: 'platform' },
  // Building
  BUILD_FAILED: { status: 422, fault: 'caller' },
  BUILDER_UNREACHABLE: { status: 503, fault: 'platform' },
  // Between the platform's parts
  NOT_SIGNED: { status: 401, fault: 'caller' },
  // The Kubernetes API
  API_UNREACHABLE: { status: 503, fault: 'platform' },
  // Starting
  DATA_DIR_IN_USE: { status: 500, fault: 'caller' },
  BAD_OPTION: { status: 400, fault: 'caller' },
  INTERNAL: { status: 500, fault: 'platform' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** A failure as plain data: what crosses a MessagePort or stands in a JSON body. */
export interface ErrorData {
  readonly code: ErrorCode;
  readonly message: string;
  /** The guest's stack, where the failure is a trap. */
  readonly guestStack?: string;
}

/** A failure with a code from {@link ERROR_CODES} and a message written for the person who reads it. */
export class FissiumError extends Error {
  readonly code: ErrorCode;
  readonly guestStack: string | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; guestStack?: string } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'FissiumError';
    this.code = code;
    this.guestStack = options.guestStack;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  get fault(): Fault {
    return ERROR_CODES[this.code].fault;
  }
}

/** The failure as data, whatever was thrown; what is not ours becomes `INTERNAL`. */
export function toErrorData(thrown: unknown): ErrorData {
  if (thrown instanceof FissiumError) {
    const { code, message, guestStack } = thrown;
    return guestStack === undefined ? { code, message } : { code, message, guestStack };
  }
  return { code: 'INTERNAL', message: thrown instanceof Error ? thrown.message : String(thrown) };
}

/** The error that {@link toErrorData} was made from, on the other side of a thread. */
export function fromErrorData(data: ErrorData): FissiumError {
  return new FissiumError(
    data.code,
    data.message,
    data.guestStack === undefined ? {} : { guestStack: data.guestStack },
  );
}
