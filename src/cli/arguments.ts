/**
 * Takes the forms that Fission's flag library takes and commander does not: `--flag=true`, `--flag=false`,
 * `-n=value`, `-v 2`.
 */
import type { OptionSpec, OptionSpecs } from './options.ts';

/** The words (noun, verb) at the beginning of a command line, with the values of options left out. */
export function leadingWords(argv: readonly string[], globals: OptionSpecs, count: number): string[] {
  const valued = new Set<string>();
  for (const spec of Object.values(globals)) {
    if (spec.kind !== 'flag') for (const name of optionNames(spec)) valued.add(name);
  }
  const words: string[] = [];
  for (let index = 0; index < argv.length && words.length < count; index++) {
    const token = argv[index] ?? '';
    if (token === '--') break;
    if (!token.startsWith('-') || token === '-') words.push(token);
    else if (valued.has(token) || isVerbosity(argv, index)) index++;
  }
  return words;
}

/** The same command line in the forms that commander takes. */
export function rewriteArguments(argv: readonly string[], specs: readonly OptionSpec<unknown>[]): string[] {
  const flags = new Map<string, string>();
  const shortValued = new Set<string>();
  for (const spec of specs) {
    for (const name of optionNames(spec)) if (spec.kind === 'flag') flags.set(name, spec.flag);
    if (spec.kind !== 'flag' && spec.short !== undefined) shortValued.add(`-${spec.short}`);
  }
  const result: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const token = argv[index] ?? '';
    if (token === '--') {
      result.push(...argv.slice(index));
      break;
    }
    if (isVerbosity(argv, index)) {
      result.push(`--verbosity=${argv[++index]}`);
      continue;
    }
    const [, name = '', value = ''] = /^(--?[A-Za-z][\w-]*)=([\s\S]*)$/.exec(token) ?? [];
    const flagName = flags.get(name);
    if (flagName !== undefined && /^(true|t|1)$/i.test(value)) result.push(`--${flagName}`);
    else if (flagName !== undefined && /^(false|f|0)$/i.test(value)) result.push(`--no-${flagName}`);
    else if (shortValued.has(name)) result.push(name, value);
    else result.push(token);
  }
  return result;
}

/** Every form of an option on the command line, its aliases included. */
export function optionNames(spec: OptionSpec<unknown>): string[] {
  const names = [`--${spec.flag}`, ...(spec.aliases ?? []).map((alias) => `--${alias}`)];
  return spec.short === undefined ? names : [...names, `-${spec.short}`];
}

function isVerbosity(argv: readonly string[], index: number): boolean {
  return argv[index] === '-v' && /^[0-9]$/.test(argv[index + 1] ?? '');
}
