/** From a schema and checks to errors that people can act on. */
import Schema from 'typebox/schema';
import type { TSchema } from 'typebox';
import { Settings } from 'typebox/system';
import { joinPath, propertyOf, pruned, schemaNode } from './defaults.ts';
import type { SchemaNode } from './defaults.ts';
import { describe, isObject } from './json.ts';
import type { FieldError } from './kind.ts';
import { DNS_LABEL, DNS_LABEL_WORDS, DNS_SUBDOMAIN, DNS_SUBDOMAIN_WORDS } from './names.ts';

/** Patterns in words; others are shown as they are. */
const PATTERN_WORDS: Readonly<Record<string, string>> = {
  [DNS_LABEL]: DNS_LABEL_WORDS,
  [`^$|${DNS_SUBDOMAIN}`]: DNS_SUBDOMAIN_WORDS,
  '^sha256:[a-f0-9]{64}$': "'sha256:' and 64 lower-case hex digits",
};

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'a string (in quotes, if it looks like something else)',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
};

/** The error shape of typebox (that of ajv). */
interface SchemaError {
  readonly keyword: string;
  readonly schemaPath: string;
  readonly instancePath: string;
  readonly params: object;
}

/** More unknown fields than these are not told one by one. */
const MAX_UNKNOWN = 100;
const MAX_ERRORS = 32;

/**
 * A validator of any JSON value: the schema first, and where that finds nothing but unknown fields, `checks`
 * on the value without its nulls and unknown fields. The schema is compiled at first use. Never throws.
 */
export function createValidator<T>(
  schema: TSchema,
  checks: (object: T) => FieldError[],
): (object: unknown) => FieldError[] {
  let validator: ReturnType<typeof Schema.Compile> | undefined;
  return (object) => {
    const errors: FieldError[] = [];
    // Taken out before, because the compiled schema stops at a number of errors and must not spend it on these.
    const value = pruned(schema, object, (path, name, node) => {
      if (errors.length >= MAX_UNKNOWN) return;
      const message = `is not a field here${hint(name, node)}`;
      errors.push({ path: joinPath(path, name), message, unknown: true });
    });
    if (validator === undefined) {
      Settings.Set({ maxErrors: MAX_ERRORS });
      validator = Schema.Compile(schema);
    }
    if (!validator.Check(value))
      return [...schemaErrors(schema, value, validator.Errors(value)[1]), ...errors];
    // What the schema has passed has the type that was inferred from it.
    return [...errors, ...checks(value as T)];
  };
}

function schemaErrors(schema: TSchema, value: unknown, found: readonly SchemaError[]): FieldError[] {
  const unions = new Set(
    found.filter(({ keyword }) => keyword === 'anyOf').map(({ schemaPath }) => schemaPath),
  );
  return found
    .filter(({ schemaPath }) => {
      // The branches of a union are told as one.
      const at = schemaPath.lastIndexOf('/anyOf/');
      return at < 0 || !unions.has(schemaPath.slice(0, at));
    })
    .flatMap((error) => explain(error, locate(schemaNode(schema), value, error.instancePath)));
}

interface Place {
  readonly path: string;
  readonly value: unknown;
  readonly node: SchemaNode;
}

/** Follows a JSON pointer (RFC 6901) through value and schema at once. */
function locate(root: SchemaNode, rootValue: unknown, pointer: string): Place {
  let place: Place = { path: '', value: rootValue, node: root };
  for (const raw of pointer.split('/').slice(1)) {
    const segment = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    const { path, value, node } = place;
    place = Array.isArray(value)
      ? { path: `${path}[${segment}]`, value: value[Number(segment)], node: node.items ?? {} }
      : {
          path: joinPath(path, segment),
          value: isObject(value) && Object.hasOwn(value, segment) ? value[segment] : undefined,
          node: propertyOf(node, segment) ?? {},
        };
  }
  return place;
}

function explain(error: SchemaError, { path, value, node }: Place): FieldError[] {
  const params: Readonly<Record<string, unknown>> = { ...error.params };
  const seen = describe(value);
  switch (error.keyword) {
    case 'required':
      return strings(params['requiredProperties']).map((name) => {
        const description = propertyOf(node, name)?.description;
        return {
          path: joinPath(path, name),
          message: `is required${description === undefined ? '' : `: ${description}`}`,
        };
      });
    case 'type':
      return [
        {
          path,
          message: `must be ${TYPE_WORDS[String(params['type'])] ?? String(params['type'])}, but is ${seen}`,
        },
      ];
    case 'anyOf':
      return [{ path, message: `must be ${unionWords(node)}, but is ${seen}` }];
    case 'enum': {
      const allowed = strings(params['allowedValues']).filter((name) => name !== '');
      return [
        {
          path,
          message: `must be ${allowed.length > 1 ? 'one of ' : ''}${allowed.join(', ')}, but is ${seen}`,
        },
      ];
    }
    case 'minimum':
    case 'maximum':
      return [{ path, message: `must be ${rangeWords(node)}, but is ${seen}` }];
    case 'minLength':
      return [{ path, message: 'must not be empty' }];
    case 'maxLength':
      return [{ path, message: `must have ${String(node['maxLength'])} characters at most` }];
    case 'maxItems':
      return [{ path, message: `must have ${String(node['maxItems'])} entries at most` }];
    case 'pattern': {
      const pattern = typeof node['pattern'] === 'string' ? node['pattern'] : '';
      return [{ path, message: `must be ${PATTERN_WORDS[pattern] ?? `like ${pattern}`}, but is ${seen}` }];
    }
    case 'format':
      return [{ path, message: `must be a ${String(node['format'])}, but is ${seen}` }];
    default:
      return [{ path, message: `is not as ${error.keyword} asks for, but is ${seen}` }];
  }
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function unionWords(node: SchemaNode): string {
  const branches = Array.isArray(node['anyOf']) ? node['anyOf'] : [];
  return branches
    .map((branch: unknown) => (isObject(branch) ? String(branch['type']) : ''))
    .map((type) => (TYPE_WORDS[type] ?? type).replace(/ \(.*/, ''))
    .join(' or ');
}

function rangeWords(node: SchemaNode): string {
  const [low, high] = [describe(node['minimum']), describe(node['maximum'])];
  if (node['minimum'] === undefined) return `${high} at most`;
  return node['maximum'] === undefined ? `${low} at least` : `from ${low} to ${high}`;
}

/** A name that was likely meant, or all that there are if they are few. */
function hint(name: string, node: SchemaNode): string {
  const known = Object.keys(node.properties ?? {});
  const near = known.find(
    (other) => other.toLowerCase() === name.toLowerCase() || isOneEditAway(name, other),
  );
  if (near !== undefined) return `; did you mean ${near}?`;
  return known.length > 0 && known.length <= 12 ? `; the fields are ${known.join(', ')}` : '';
}

/** Whether one letter changed, added, left out or swapped with its neighbour makes `a` into `b`. */
function isOneEditAway(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  let endA = a.length;
  let endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const [restA, restB] = [a.slice(start, endA), b.slice(start, endB)];
  if (restA.length <= 1 && restB.length <= 1) return true;
  return restA.length === 2 && restB.length === 2 && restA[0] === restB[1] && restA[1] === restB[0];
}
