/**
 * The part of Kubernetes' JSONPath that printer columns use: `.a.b`, `['a.b']`, `.a\.b`, `[0]`, `[-1]`, `[*]`,
 * `[?(@.type=="Ready")]`, with or without braces and a leading `$`.
 */
import { isJsonObject, ownValue } from './json.ts';

type Step = (value: unknown) => unknown[];

/** The values that the path finds in the object, in order; empty where it finds none. */
export type JsonPath = (object: unknown) => unknown[];

const FIELD = /^\.((?:[^.[\]\\]|\\.)+)/;
const BRACKET_FIELD = /^\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/;
const INDEX = /^\[(-?\d{1,9})\]/;
const WILDCARD = /^(?:\[\*\]|\.\*)/;
const FILTER =
  /^\[\?\(@((?:\.(?:[^.[\]\\=!<>()\s]|\\.)+)+)\s*(==|!=)\s*(?:"([^"]*)"|'([^']*)'|(-?\d+(?:\.\d+)?|true|false))\)\]/;

const unescape = (text: string): string => text.replace(/\\(.)/g, '$1');

function field(name: string): Step {
  return (value) => {
    const found = isJsonObject(value) ? ownValue(value, name) : undefined;
    return found === undefined ? [] : [found];
  };
}

function filter(path: string, operator: string, wanted: string): Step {
  const inner = compileJsonPath(path);
  return (value) =>
    (Array.isArray(value) ? value : []).filter((item: unknown) => {
      const found = inner(item)[0];
      const text =
        typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean'
          ? String(found)
          : undefined;
      return (text === wanted) === (operator === '==');
    });
}

function parseStep(rest: string): { step: Step; length: number } | undefined {
  let match = WILDCARD.exec(rest);
  if (match) {
    const step: Step = (value) => (typeof value === 'object' && value !== null ? Object.values(value) : []);
    return { step, length: match[0].length };
  }
  match = FIELD.exec(rest) ?? BRACKET_FIELD.exec(rest);
  if (match) return { step: field(unescape(match[1] ?? match[2] ?? '')), length: match[0].length };
  match = INDEX.exec(rest);
  if (match) {
    const index = Number(match[1]);
    const step: Step = (value) => {
      const found: unknown = Array.isArray(value) ? value.at(index) : undefined;
      return found === undefined ? [] : [found];
    };
    return { step, length: match[0].length };
  }
  match = FILTER.exec(rest);
  if (match) {
    const [whole, path = '', operator = '==', double, single, bare] = match;
    return { step: filter(path, operator, double ?? single ?? bare ?? ''), length: whole.length };
  }
  return undefined;
}

/**
 * Compiles a path of the subset above.
 * @throws Error naming the part that is not understood: the path is ours, in a kind's definition
 */
export function compileJsonPath(text: string): JsonPath {
  const steps: Step[] = [];
  let rest = text
    .trim()
    .replace(/^\{(.*)\}$/s, '$1')
    .replace(/^\$/, '');
  while (rest !== '') {
    const parsed = parseStep(rest);
    if (parsed === undefined) throw new Error(`JSONPath '${text}': '${rest}' is not supported`);
    steps.push(parsed.step);
    rest = rest.slice(parsed.length);
  }
  return (object) => steps.reduce<unknown[]>((values, step) => values.flatMap(step), [object]);
}
