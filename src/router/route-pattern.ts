/**
 * Path templates of HTTPTriggers: Fission's (gorilla/mux's) `{name}` and `{name:regexp}`, and `:name` for a
 * whole segment.
 *
 * Fission runs these through Go's RE2, which is linear in the path's length whatever the expression. The same
 * holds here: expressions are compiled for V8's linear engine, so that one tenant's `(a|a)*` cannot hold the
 * router's thread, and what that engine cannot take (look-around, back-references, repeats in the hundreds) is refused
 * when the route is added. Engines that backtrack (find-my-way's check for "safe" ones lets `(a|a)*` pass)
 * cannot promise it.
 */
import { setFlagsFromString } from 'node:v8';
import { FissiumError } from '../errors.ts';
import { matchForm } from './request-path.ts';

// Only makes the flag `l` known to RegExp; nothing else changes.
setFlagsFromString('--enable-experimental-regexp-engine');
const LINEAR = 'l';

/** One segment of a pattern: fixed text, or something that one segment of a path is tested against. */
export type PatternSegment =
  | { readonly kind: 'literal'; readonly text: string }
  | {
      readonly kind: 'parameter';
      /** Equal for segments that take the same paths; names do not count. '' takes any segment but an empty one. */
      readonly key: string;
      readonly regexp: RegExp | null;
      /** Characters of fixed text, by which the more specific of two is chosen. */
      readonly literalLength: number;
    };

/** The end of a pattern from the first parameter whose expression can match a slash. */
export interface SpanningTail {
  readonly key: string;
  readonly regexp: RegExp;
  readonly literalLength: number;
}

export interface RoutePattern {
  /** For an exact pattern all segments; for a prefix those before its open end. */
  readonly segments: readonly PatternSegment[];
  readonly tail: SpanningTail | null;
  /** Names of the parameters in order. */
  readonly names: readonly string[];
  /** The whole path where it has no parameter, in the form that `matchForm` gives; else null. */
  readonly literal: string | null;
  /** The path as written, for messages. */
  readonly text: string;
}

interface Variable {
  readonly name: string;
  readonly expression: string | null;
}

type Part = string | Variable;

const PARAMETER_NAME = /^[A-Za-z0-9_-]{1,64}$/;
const LONGEST_PATH = 2048;

/**
 * Compiles a trigger's path. For a prefix, `text` ends in a slash that stands for the open end.
 * @throws FissiumError BAD_REQUEST with what is wrong, where the template cannot be served
 */
export function compilePattern(text: string, kind: 'exact' | 'prefix'): RoutePattern {
  if (!text.startsWith('/')) throw refused(text, 'it must start with /');
  if (text.length > LONGEST_PATH) {
    throw refused(`${text.slice(0, 60)}…`, `it has ${text.length} characters, ${LONGEST_PATH} are allowed`);
  }
  const parts = parse(text);
  const names = parts.flatMap((part) => (typeof part === 'string' ? [] : [part.name]));
  for (const name of names) {
    if (!PARAMETER_NAME.test(name)) {
      throw refused(text, `the parameter name "${name}" is not made of letters, digits, "-" and "_"`);
    }
  }
  if (new Set(names.map((name) => name.toLowerCase())).size !== names.length) {
    throw refused(text, 'two parameters have the same name (upper and lower case count as one in a header)');
  }
  const segments: PatternSegment[] = [];
  let tail: SpanningTail | null = null;
  let firstName = 0;
  for (const segment of splitSegments(parts, kind)) {
    if (segment.spanning) {
      tail = compileTail(text, segment.parts, kind, firstName);
      break;
    }
    segments.push(compileSegment(text, segment.parts, firstName));
    firstName += segment.parts.filter((part) => typeof part !== 'string').length;
  }
  const literal = names.length === 0 ? canonicalText(text) : null;
  return { segments, tail, names, literal, text };
}

function refused(text: string, why: string): FissiumError {
  return new FissiumError(
    'BAD_REQUEST',
    `The path "${text}" cannot be served: ${why}. Allowed are paths like /users, /users/{id}, ` +
      `/users/{id:[0-9]+} and /users/:id.`,
  );
}

function parse(text: string): Part[] {
  const parts: Part[] = [];
  let plain = '';
  let at = 0;
  while (at < text.length) {
    const character = text.charAt(at);
    if (character === '}') throw refused(text, 'a "}" has no "{" before it');
    if (character === '{') {
      const end = closingBrace(text, at);
      const [name = '', ...expression] = text.slice(at + 1, end).split(':');
      if (plain !== '') parts.push(plain);
      plain = '';
      parts.push({ name, expression: expression.length === 0 ? null : expression.join(':') });
      at = end + 1;
      continue;
    }
    const colon =
      character === ':' && plain.endsWith('/') ? /^:([A-Za-z_]\w*)(?=\/|$)/.exec(text.slice(at)) : null;
    if (colon?.[1] !== undefined) {
      parts.push(plain, { name: colon[1], expression: null });
      plain = '';
      at += colon[0].length;
      continue;
    }
    plain += character;
    at += 1;
  }
  if (plain !== '') parts.push(plain);
  return parts;
}

/** Braces nest, so that `{id:[0-9]{3}}` ends where it should. */
function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    if (text[at] === '{') depth += 1;
    if (text[at] === '}') {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  throw refused(text, 'a "{" is never closed');
}

interface RawSegment {
  readonly parts: readonly Part[];
  /** Whether it (and all after it, which `parts` then holds) must be matched over slashes. */
  readonly spanning: boolean;
}

function splitSegments(parts: readonly Part[], kind: 'exact' | 'prefix'): RawSegment[] {
  const segments: Part[][] = [[]];
  for (const part of parts) {
    if (typeof part !== 'string') {
      segments.at(-1)?.push(part);
      continue;
    }
    part.split('/').forEach((piece, index) => {
      if (index > 0) segments.push([]);
      if (piece !== '') segments.at(-1)?.push(piece);
    });
  }
  // The first is what stands before the leading slash: nothing.
  const real = segments.slice(1);
  const spanning = real.findIndex((segment) =>
    segment.some(
      (part) => typeof part !== 'string' && part.expression !== null && canMatchSlash(part.expression),
    ),
  );
  // The last segment of a prefix is the open end.
  if (spanning === -1) {
    return (kind === 'prefix' ? real.slice(0, -1) : real).map((segment) => ({
      parts: segment,
      spanning: false,
    }));
  }
  const rest = real.slice(spanning).flatMap((segment, index) => (index === 0 ? segment : ['/', ...segment]));
  return [
    ...real.slice(0, spanning).map((segment) => ({ parts: segment, spanning: false })),
    { parts: rest, spanning: true },
  ];
}

function compileSegment(text: string, parts: readonly Part[], firstName: number): PatternSegment {
  const [only] = parts;
  if (parts.every((part) => typeof part === 'string')) {
    return { kind: 'literal', text: canonicalText(parts.join('')) };
  }
  if (parts.length === 1 && only !== undefined && typeof only !== 'string' && only.expression === null) {
    return { kind: 'parameter', key: '', regexp: null, literalLength: 0 };
  }
  const { source, key, literalLength } = toSource(text, parts, firstName);
  return { kind: 'parameter', key, regexp: compile(text, `^${source}$`), literalLength };
}

function compileTail(
  text: string,
  parts: readonly Part[],
  kind: 'exact' | 'prefix',
  firstName: number,
): SpanningTail {
  const { source, key, literalLength } = toSource(text, parts, firstName);
  return { key, regexp: compile(text, kind === 'exact' ? `^${source}$` : `^${source}`), literalLength };
}

function toSource(
  text: string,
  parts: readonly Part[],
  firstName: number,
): { source: string; key: string; literalLength: number } {
  let source = '';
  let key = '';
  let literalLength = 0;
  let name = firstName;
  for (const part of parts) {
    if (typeof part === 'string') {
      const literal = canonicalText(part);
      literalLength += literal.length;
      source += RegExp.escape(literal);
      key += RegExp.escape(literal);
      continue;
    }
    const expression = part.expression === null ? '[^/]+' : toJavaScript(text, part.expression);
    source += `(?<p${name}>${expression})`;
    key += `(${expression})`;
    name += 1;
  }
  return { source, key, literalLength };
}

function compile(text: string, source: string): RegExp {
  try {
    return new RegExp(source, LINEAR);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw refused(
      text,
      `its expression cannot be run in linear time (${why}); look-around, back-references and counted repeats ` +
        `over some hundreds are not supported`,
    );
  }
}

/** Fixed text in the form that request paths are compared in. */
function canonicalText(text: string): string {
  return /%(?![0-9a-fA-F]{2})/.test(text) ? text : matchForm(text);
}

const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  blank: '\\t ',
  digit: '0-9',
  lower: 'a-z',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\s',
  upper: 'A-Z',
  word: '\\w',
  xdigit: '0-9A-Fa-f',
};

/** Go's syntax as JavaScript's: groups that do not capture, POSIX classes, no anchors of Go's own. */
function toJavaScript(text: string, expression: string): string {
  if (expression === '') throw refused(text, 'a parameter has an empty expression');
  let out = '';
  for (const atom of atoms(expression)) {
    if (atom.startsWith('[')) {
      out += atom.replace(/^(\[\^?)\]/, '$1\\]').replaceAll(/\[:(\w+):\]/g, (_, name: string) => {
        const characters = POSIX_CLASSES[name];
        if (characters === undefined) throw refused(text, `there is no character class [:${name}:]`);
        return characters;
      });
    } else if (/^\\[AzZCpPQEKk1-9]$/.test(atom)) {
      throw refused(text, `${atom} is not supported in an expression`);
    } else if (/^\(\?P?<[^=!]/.test(atom) || atom === '(') {
      out += '(?:';
    } else out += atom;
  }
  return out;
}

/** Classes, escapes and the openings of groups as wholes, everything else by the character. */
function* atoms(expression: string): Generator<string> {
  const atom = /\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|\\.|\(\?P?<\w+>|\(|[^]/g;
  for (const [found] of expression.matchAll(atom)) yield found;
}

/** Errs on the side of yes, which only costs speed. */
function canMatchSlash(expression: string): boolean {
  for (const atom of atoms(expression)) {
    if (atom === '.' || atom === '/') return true;
    if (atom.startsWith('\\') && !/^\\[dwsbB.\-+*?()[\]{}|^$]$/.test(atom)) return true;
    if (atom.startsWith('[')) {
      try {
        if (new RegExp(toJavaScript(expression, atom)).test('/')) return true;
      } catch {
        return true;
      }
    }
  }
  return false;
}
