/** Typed options of commands: one object an option, from which commander, the handler's types and completion come. */
import { CliError } from './errors.ts';

/** What an option's text becomes. Lists collect repeated options; `split` ones take commas too, as Fission's do. */
export type OptionKind = 'text' | 'texts' | 'integer' | 'integers' | 'flag' | 'duration';

/**
 * How far a flag of Fission's has no effect here yet. `kept`: it is stored in the resource; `ignored`: it is not;
 * `in-one-process`: it is stored, and has an effect on a cluster alone.
 */
export type NotServed = 'kept' | 'ignored' | 'in-one-process';

export interface OptionSettings {
  /** One letter. */
  readonly short?: string;
  /** Other long names, without dashes; they are taken and not shown. */
  readonly aliases?: readonly string[];
  /** What stands for the value in the help. */
  readonly placeholder?: string;
  readonly choices?: readonly string[];
  /** Limits of an integer, both included. */
  readonly min?: number;
  readonly max?: number;
  /** A list whose items may also be separated by commas. */
  readonly split?: boolean;
  /** Set where the option has no effect. Using it prints a warning with its name. */
  readonly notServed?: NotServed;
  /** Values of an option, served otherwise, that have none. */
  readonly notServedValues?: Readonly<Record<string, NotServed>>;
  readonly hidden?: boolean;
}

/** An option whose value reaches the handler as `T`. */
export interface OptionSpec<T> extends OptionSettings {
  /** The long name, without dashes. */
  readonly flag: string;
  readonly kind: OptionKind;
  readonly help: string;
  readonly required: boolean;
  readonly defaultValue: T | undefined;
  /** Only for the type: never set. */
  readonly type?: T;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec<unknown>>>;

/** What the handler gets for its options: `undefined` where the user gave nothing and there is no default. */
export type OptionValues<O extends OptionSpecs> = {
  readonly [K in keyof O]: O[K] extends OptionSpec<infer T> ? T : never;
};

const optional =
  <T>(kind: OptionKind) =>
  (flag: string, help: string, settings: OptionSettings = {}): OptionSpec<T | undefined> => ({
    ...settings,
    flag,
    help,
    kind,
    required: false,
    defaultValue: undefined,
  });

export const text = optional<string>('text');
export const texts = optional<readonly string[]>('texts');
export const integer = optional<number>('integer');
export const integers = optional<readonly number[]>('integers');
const anyFlag = optional<boolean>('flag');

/**
 * `--x`, `--x=true`, `--x=false`, `--no-x`.
 *
 * @throws TypeError for a name like `no-x`: the parser takes that for the negation of one that is on
 */
export function flag(name: string, help: string, settings?: OptionSettings): OptionSpec<boolean | undefined> {
  if (name.startsWith('no-'))
    throw new TypeError(`an option cannot be named ${name}: name what it turns off`);
  return anyFlag(name, help, settings);
}
/** Go's form, `300ms`, `1h30m`; a bare number is seconds. The handler gets milliseconds. */
export const duration = optional<number>('duration');

/** The same option, without which the command is refused. */
export function required<T>(spec: OptionSpec<T | undefined>): OptionSpec<T> {
  return { ...spec, required: true, defaultValue: undefined } as OptionSpec<T>;
}

/** The same option with a value for when it is not given. */
export function withDefault<T>(spec: OptionSpec<T | undefined>, value: T): OptionSpec<T> {
  return { ...spec, defaultValue: value } as OptionSpec<T>;
}

/** Turns what the user typed into the option's value. Throws a usage error that names the option and what is allowed. */
export function parseOption(spec: OptionSpec<unknown>, raw: readonly string[]): unknown {
  const last = raw.at(-1) ?? '';
  switch (spec.kind) {
    case 'text':
      return checkChoice(spec, last);
    case 'texts':
      return items(spec, raw).map((item) => checkChoice(spec, item));
    case 'integer':
      return parseInteger(spec, last);
    case 'integers':
      return items(spec, raw).map((item) => parseInteger(spec, item));
    case 'duration':
      return parseDuration(last, `--${spec.flag}`);
    case 'flag':
      return last !== 'false';
  }
}

function items(spec: OptionSpec<unknown>, raw: readonly string[]): string[] {
  if (spec.split !== true) return [...raw];
  return raw.flatMap((value) => value.split(',')).filter((value) => value !== '');
}

function checkChoice(spec: OptionSpec<unknown>, value: string): string {
  if (spec.choices === undefined || spec.choices.includes(value)) return value;
  throw usage(`--${spec.flag} is ${JSON.stringify(value)}`, `allowed: ${spec.choices.join(', ')}`);
}

function parseInteger(spec: OptionSpec<unknown>, value: string): number {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = spec;
  const number = /^[+-]?\d+$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return number;
  const range =
    spec.min !== undefined && spec.max !== undefined
      ? `an integer from ${min} to ${max}`
      : spec.min !== undefined
        ? `an integer of ${min} or more`
        : 'an integer';
  throw usage(`--${spec.flag} is ${JSON.stringify(value)}`, `allowed: ${range}`);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds of Go's duration form, with `d` besides; a bare number is seconds. */
export function parseDuration(value: string, name: string): number {
  if (/^-?\d+(\.\d+)?$/.test(value)) return Number(value) * 1000;
  const match = /^(-?)((?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+)$/.exec(value);
  if (match === null) {
    throw usage(`${name} is ${JSON.stringify(value)}`, 'allowed: a duration like 30s, 5m, 1h30m, 500ms');
  }
  let totalMs = 0;
  for (const part of (match[2] ?? '').matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g)) {
    totalMs += Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? 0);
  }
  return match[1] === '-' ? -totalMs : totalMs;
}

function usage(what: string, why: string): CliError {
  return new CliError(what, { why, exitCode: 2 });
}
