interface StatusBody {
  kind?: unknown;
  reason?: unknown;
  message?: unknown;
  details?: unknown;
}

/**
 * The API server refused a request. `reason` is the machine-readable word of its Status answer (`NotFound`,
 * `Conflict`, `AlreadyExists`, `Expired`, `Invalid`, ...), or a word made from the HTTP status where the answer
 * was no Status. Match on `status` and `reason`.
 */
export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly details: unknown;

  constructor(status: number, reason: string, message: string, details?: unknown) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.reason = reason;
    this.details = details;
  }

  /** From an answer's status and body, whatever the body is. */
  static fromAnswer(status: number, body: string, what: string): ApiError {
    const parsed = parseStatus(body);
    const reason =
      typeof parsed?.reason === 'string' && parsed.reason !== '' ? parsed.reason : reasonOf(status);
    const message =
      typeof parsed?.message === 'string' && parsed.message !== ''
        ? parsed.message
        : `${what}: the API server answered ${status}${body === '' ? '' : `: ${body.slice(0, 500).trim()}`}`;
    return new ApiError(status, reason, message, parsed?.details);
  }
}

function parseStatus(body: string): StatusBody | undefined {
  try {
    const value = JSON.parse(body) as unknown;
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function reasonOf(status: number): string {
  switch (status) {
    case 400:
      return 'BadRequest';
    case 401:
      return 'Unauthorized';
    case 403:
      return 'Forbidden';
    case 404:
      return 'NotFound';
    case 405:
      return 'MethodNotAllowed';
    case 409:
      return 'Conflict';
    case 410:
      return 'Expired';
    case 415:
      return 'UnsupportedMediaType';
    case 422:
      return 'Invalid';
    case 429:
      return 'TooManyRequests';
    case 503:
      return 'ServiceUnavailable';
    default:
      return status >= 500 ? 'InternalError' : 'Unknown';
  }
}

export function isApiError(thrown: unknown): thrown is ApiError {
  return thrown instanceof ApiError;
}

export function isNotFound(thrown: unknown): boolean {
  return isApiError(thrown) && thrown.status === 404;
}

/** The object changed since it was read (409 Conflict), not: something of that name exists. */
export function isConflict(thrown: unknown): boolean {
  return isApiError(thrown) && thrown.status === 409 && thrown.reason !== 'AlreadyExists';
}

export function isAlreadyExists(thrown: unknown): boolean {
  return isApiError(thrown) && thrown.status === 409 && thrown.reason === 'AlreadyExists';
}
