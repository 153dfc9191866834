/** From a request's body to an object of its kind: type, metadata, unknown fields, values. */
import type { FieldError } from '../../api/index.ts';
import { apiVersionOf } from '../formats/kind-info.ts';
import type { ResourceKind } from '../kinds/resource-kind.ts';
import { decodeMetadata, metadataCauses } from '../metadata.ts';
import { isRecord, type KubeObject } from '../object.ts';
import { badRequest, invalid, type Cause } from '../status.ts';

/** What to do about fields that the schema does not know: refuse, drop and tell, or drop. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface Admitted {
  readonly object: KubeObject;
  /** For the Warning header. */
  readonly warnings: readonly string[];
}

/**
 * The body as an object of the kind, without unknown fields. Fails with 400 if it is of another kind, of no
 * usable shape, or has unknown fields and validation is strict. Its values are checked later, by
 * {@link checkObject}, once the server's own fields are set.
 */
export function admit(kind: ResourceKind, body: unknown, fieldValidation: FieldValidation): Admitted {
  if (!isRecord(body)) throw badRequest(`the body must be a ${kind.kind} object, not ${describe(body)}`);
  const apiVersion = apiVersionOf(kind);
  const { apiVersion: givenVersion, kind: givenKind, metadata: givenMetadata, ...fields } = body;
  if ((givenVersion ?? '') !== '' && givenVersion !== apiVersion) {
    throw badRequest(
      `the API version in the data (${String(givenVersion)}) does not match the expected API version (${apiVersion})`,
    );
  }
  if ((givenKind ?? '') !== '' && givenKind !== kind.kind) {
    throw badRequest(
      `the kind in the data (${String(givenKind)}) does not match the expected kind (${kind.kind})`,
    );
  }
  const { metadata, unknown } = decodeMetadata(givenMetadata);
  let object: KubeObject = { apiVersion, kind: kind.kind, metadata, ...fields };
  const dropped = [...unknown];
  const found = kind.validate(object).filter((error) => error.unknown === true);
  for (const { path } of found) {
    dropped.push(path);
    object = withoutField(object, path);
  }
  if (dropped.length === 0 || fieldValidation === 'Ignore') return { object, warnings: [] };
  const told = dropped.map((path) => `unknown field ${JSON.stringify(path)}`);
  if (fieldValidation === 'Warn') return { object, warnings: told };
  throw badRequest(
    `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}: ` +
      `strict decoding error: ${told.join(', ')}`,
  );
}

/** Fails with 422 and every cause if the object's values are wrong, or `more` names causes. */
export function checkObject(kind: ResourceKind, object: KubeObject, more: readonly Cause[] = []): void {
  const causes = [...metadataCauses(object.metadata, kind.nameRule), ...more];
  const told = new Set(causes.map((cause) => cause.field));
  for (const error of kind.validate(object)) {
    if (!told.has(error.path)) causes.push(causeOf(error));
  }
  if (causes.length > 0) throw invalid(kind, object.metadata.name, causes);
}

function causeOf({ path, message }: FieldError): Cause {
  const reason = message.startsWith('Required') ? 'FieldValueRequired' : 'FieldValueInvalid';
  return { reason, message, field: path };
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}

/** A copy without the field at the path: `spec.a[0].b`, `data[odd key]`, where keys may themselves hold dots. */
export function withoutField(object: KubeObject, path: string): KubeObject {
  const copy = structuredClone(object);
  drop(copy, path);
  return copy;
}

function drop(value: unknown, path: string): void {
  if (Array.isArray(value)) {
    const match = /^\[(\d+)\]\.?/.exec(path);
    if (match !== null) drop(value[Number(match[1])], path.slice(match[0].length));
    return;
  }
  if (!isRecord(value)) return;
  // The longest key first: `a.b` before `a`.
  const keys = Object.keys(value).toSorted((a, b) => b.length - a.length);
  for (const key of keys) {
    const written = path.startsWith(`[${key}]`) ? `[${key}]` : key;
    if (!path.startsWith(written)) continue;
    const rest = path.slice(written.length);
    if (rest === '') {
      delete value[key];
      return;
    }
    if (rest.startsWith('.') || rest.startsWith('[')) {
      drop(value[key], rest.startsWith('.') ? rest.slice(1) : rest);
      return;
    }
  }
}
