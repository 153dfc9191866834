/** Checks a value against the small part of JSON schema that the core kinds are described in. */
import type { FieldError } from '../../api/index.ts';
import { isRecord } from '../object.ts';

/** The keywords that are looked at; every other one is for readers. */
interface FieldSchema {
  readonly type?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: FieldSchema | boolean;
  readonly items?: FieldSchema;
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * Everything wrong with the value. An object takes the properties that the schema names and no others, unless
 * it says so; null counts as absent, as in Kubernetes' decoder.
 */
export function checkFields(schema: FieldSchema, value: unknown, path = ''): FieldError[] {
  if (value === null || value === undefined) return [];
  const fault = typeFault(schema, value);
  if (fault !== undefined) return [{ path, message: `Invalid value: ${JSON.stringify(value)}: ${fault}` }];
  if (Array.isArray(value)) {
    const { items = {} } = schema;
    return value.flatMap((item, index) => checkFields(items, item, `${path}[${index}]`));
  }
  return isRecord(value) ? checkProperties(schema, value, path) : [];
}

function checkProperties(schema: FieldSchema, value: Record<string, unknown>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { properties, additionalProperties: rest = properties === undefined } = schema;
  for (const [name, field] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`;
    const known = properties !== undefined && Object.hasOwn(properties, name);
    if (known) errors.push(...checkFields(properties[name] ?? {}, field, at));
    else if (rest === false) errors.push({ path: at, message: 'unknown field', unknown: true });
    else if (rest !== true) errors.push(...checkFields(rest, field, at));
  }
  for (const name of schema.required ?? []) {
    if ((value[name] ?? null) === null) {
      errors.push({ path: path === '' ? name : `${path}.${name}`, message: 'Required value' });
    }
  }
  return errors;
}

function typeFault(schema: FieldSchema, value: unknown): string | undefined {
  switch (schema.type) {
    case 'string':
      if (typeof value !== 'string') return 'must be a string';
      return schema.format === 'byte' && !BASE64.test(value) ? 'must be base64' : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'must be a boolean';
    case 'integer':
      return Number.isInteger(value) ? undefined : 'must be an integer';
    case 'array':
      return Array.isArray(value) ? undefined : 'must be a list';
    case 'object':
      return isRecord(value) ? undefined : 'must be an object';
    case undefined:
    default:
      return undefined;
  }
}
