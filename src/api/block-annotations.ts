/**
 * A block of settings of ours as annotations, one a field or the whole block as JSON: Fission's own CLI keeps
 * annotations where it drops fields that it does not know.
 */
import type { FieldError } from './kind.ts';

export interface BlockAnnotations<T> {
  /** The annotation that holds the whole block as JSON; single fields follow as `<annotation>-<name>`. */
  readonly annotation: string;
  /** The field of the spec that the block is, for messages. */
  readonly field: string;
  readonly fields: Readonly<Record<string, AnnotatedField>>;
  /** All that is wrong with any JSON value as such a block. */
  readonly validate: (block: unknown) => FieldError[];
  /** Each field from the first block that has it. */
  readonly merge: (first: T, second: T) => T;
  readonly empty: T;
}

interface AnnotatedField {
  /** Within the block, one dot at most. */
  readonly path: string;
  readonly read: (text: string) => unknown;
}

export interface AnnotatedBlock<T> {
  readonly block: T;
  readonly errors: FieldError[];
}

/** What the annotations say, the single ones before the JSON; with all that is wrong with them. */
export function readBlockAnnotations<T>(
  annotations: Readonly<Record<string, string>>,
  options: BlockAnnotations<T>,
): AnnotatedBlock<T> {
  const json = readJson(annotations[options.annotation], options);
  const single = readFields(annotations, options);
  return {
    block: options.merge(single.block, json.block),
    errors: [...json.errors, ...single.errors],
  };
}

/** Text that is no number stays text, which the schema then refuses. */
export function readNumber(text: string): string | number {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

export function readList(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** Fewer of the same entries: those that are set. */
export function withoutEmpty<T extends object>(object: T | undefined): Partial<T> {
  const entries = Object.entries(object ?? {}).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(entries) as Partial<T>;
}

function readJson<T>(
  text: string | undefined,
  { annotation, field, validate, empty }: BlockAnnotations<T>,
): AnnotatedBlock<T> {
  if (text === undefined) return { block: empty, errors: [] };
  const path = `metadata.annotations[${annotation}]`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { block: empty, errors: [{ path, message: `must be JSON like ${field}: ${reason}` }] };
  }
  // An unknown field here cannot be dropped with a warning: the annotation is one value.
  const errors = validate(value).map(({ path: inner, message }) => ({
    path: inner === '' ? path : `${path}.${inner}`,
    message,
  }));
  // Without errors it has the type of the schema.
  return { block: errors.length === 0 ? (value as T) : empty, errors };
}

function readFields<T>(
  annotations: Readonly<Record<string, string>>,
  { annotation, fields, validate, merge, empty }: BlockAnnotations<T>,
): AnnotatedBlock<T> {
  const errors: FieldError[] = [];
  let block = empty;
  for (const [name, text] of Object.entries(annotations)) {
    if (!name.startsWith(`${annotation}-`)) continue;
    const path = `metadata.annotations[${name}]`;
    const suffix = name.slice(annotation.length + 1);
    const field = Object.hasOwn(fields, suffix) ? fields[suffix] : undefined;
    if (field === undefined) {
      const known = Object.keys(fields).map((other) => `${annotation}-${other}`);
      errors.push({ path, message: `is not known; there are ${known.join(', ')}` });
      continue;
    }
    const [outer = '', inner] = field.path.split('.');
    const value = field.read(text);
    const part: unknown = { [outer]: inner === undefined ? value : { [inner]: value } };
    const found = validate(part);
    errors.push(...found.map(({ message }) => ({ path, message })));
    // Without errors it has the type of the schema.
    if (found.length === 0) block = merge(block, part as T);
  }
  return { block, errors };
}
