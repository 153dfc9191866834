/** Failures as Kubernetes tells them: a Status object whose `reason` clients match on. */

/** One thing that is wrong in an object, by its path (`spec.functions[0].name`). */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  /** The plural, as in a path. */
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Partial<Cause>[];
  readonly retryAfterSeconds?: number;
}

export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Record<string, never>;
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code: number;
}

/** What names a resource in messages. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

/** A refusal that a client gets as a Status. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    };
  }
}

/** The answer to a delete. */
export function successStatus(details: StatusDetails): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details, code: 200 };
}

/** `functions.fission.io`, `configmaps`. */
export function qualifiedResource(resource: Pick<ResourceName, 'group' | 'plural'>): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

function detailsOf(resource: ResourceName, name: string): StatusDetails {
  return { name, ...(resource.group === '' ? {} : { group: resource.group }), kind: resource.plural };
}

export const badRequest = (message: string): ApiError => new ApiError(400, 'BadRequest', message);

export const notFound = (resource: ResourceName, name: string): ApiError =>
  new ApiError(
    404,
    'NotFound',
    `${qualifiedResource(resource)} "${name}" not found`,
    detailsOf(resource, name),
  );

/** A path or resource that this server does not have. */
export const unknownPath = (): ApiError =>
  new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});

export const methodNotAllowed = (method: string): ApiError =>
  new ApiError(405, 'MethodNotAllowed', `the server does not allow ${method} on the requested resource`, {});

export const alreadyExists = (resource: ResourceName, name: string): ApiError =>
  new ApiError(
    409,
    'AlreadyExists',
    `${qualifiedResource(resource)} "${name}" already exists`,
    detailsOf(resource, name),
  );

export const conflict = (resource: ResourceName, name: string, why: string): ApiError =>
  new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualifiedResource(resource)} "${name}": ${why}`,
    detailsOf(resource, name),
  );

export const modified = (resource: ResourceName, name: string): ApiError =>
  conflict(
    resource,
    name,
    'the object has been modified; please apply your changes to the latest version and try again',
  );

export const forbidden = (resource: ResourceName, name: string, why: string): ApiError =>
  new ApiError(
    403,
    'Forbidden',
    `${qualifiedResource(resource)} "${name}" is forbidden: ${why}`,
    detailsOf(resource, name),
  );

export const expired = (message: string): ApiError => new ApiError(410, 'Expired', message);

export const unsupportedMediaType = (message: string): ApiError =>
  new ApiError(415, 'UnsupportedMediaType', message);

export const invalid = (resource: ResourceName, name: string, causes: readonly Cause[]): ApiError => {
  const qualified = resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`;
  const list = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const told = list.length === 1 ? String(list[0]) : `[${list.join(', ')}]`;
  const details = { ...detailsOf(resource, name), kind: resource.kind, causes };
  return new ApiError(422, 'Invalid', `${qualified} "${name}" is invalid: ${told}`, details);
};

/** One invalid field, as Kubernetes words it. */
export function invalidValue(field: string, value: unknown, why: string): Cause {
  const shown = JSON.stringify(value ?? null);
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${shown}: ${why}`, field };
}

export const required = (field: string, why = ''): Cause => ({
  reason: 'FieldValueRequired',
  message: why === '' ? 'Required value' : `Required value: ${why}`,
  field,
});

export const forbiddenField = (field: string, why: string): Cause => ({
  reason: 'FieldValueForbidden',
  message: `Forbidden: ${why}`,
  field,
});
