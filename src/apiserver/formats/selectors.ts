/** Label and field selectors, by the grammar of Kubernetes' `labelSelector` and `fieldSelector` parameters. */
import { SelectorError } from './format-error.ts';
import { isJsonObject, ownValue } from './json.ts';
import type { JsonObject } from './json.ts';

export type LabelSelector = (labels: Readonly<Record<string, string>> | undefined) => boolean;
export type FieldSelector = (object: unknown) => boolean;

type Requirement = (value: string | undefined) => boolean;

interface Token {
  readonly type: 'identifier' | 'operator' | 'end';
  readonly text: string;
}

const OPERATORS = ['==', '!=', '=', '!', '<', '>', '(', ')', ','];
const OPERATOR_START = new Set(['=', '!', '<', '>', '(', ')', ',']);
const LABEL_NAME = /^(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const LABEL_PREFIX = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const MAX_NAME = 63;
const MAX_PREFIX = 253;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text.charAt(at);
    if (/\s/.test(char)) {
      at += 1;
    } else if (OPERATOR_START.has(char)) {
      const operator = OPERATORS.find((candidate) => text.startsWith(candidate, at)) ?? char;
      tokens.push({ type: 'operator', text: operator });
      at += operator.length;
    } else {
      let end = at + 1;
      while (end < text.length && !OPERATOR_START.has(text.charAt(end)) && !/\s/.test(text.charAt(end)))
        end += 1;
      tokens.push({ type: 'identifier', text: text.slice(at, end) });
      at = end;
    }
  }
  return tokens;
}

class LabelSelectorParser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenize(text);
  }

  parse(): [key: string, matches: Requirement][] {
    const requirements: [string, Requirement][] = [];
    if (this.#peek().type === 'end') return requirements;
    for (;;) {
      requirements.push(this.#requirement());
      const next = this.#next();
      if (next.type === 'end') return requirements;
      if (next.text !== ',') throw this.#unexpected(next, "',' or the end");
    }
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { type: 'end', text: '' };
  }

  #next(): Token {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }

  #unexpected(token: Token, expected: string): SelectorError {
    const seen = token.type === 'end' ? 'the end' : `'${token.text}'`;
    return new SelectorError(
      `unable to parse label selector '${this.#text}': found ${seen}, expected ${expected}`,
    );
  }

  #requirement(): [string, Requirement] {
    const first = this.#next();
    const negated = first.type === 'operator' && first.text === '!';
    const keyToken = negated ? this.#next() : first;
    if (keyToken.type !== 'identifier') throw this.#unexpected(keyToken, "a label's key");
    const key = this.#checkedKey(keyToken.text);
    if (negated) return [key, (value) => value === undefined];
    const following = this.#peek();
    if (following.type === 'end' || following.text === ',') return [key, (value) => value !== undefined];
    return [key, this.#comparison()];
  }

  #comparison(): Requirement {
    const operator = this.#next();
    switch (operator.text) {
      case '=':
      case '==': {
        const wanted = this.#exactValue();
        return (value) => value === wanted;
      }
      case '!=': {
        const refused = this.#exactValue();
        return (value) => value !== refused;
      }
      case 'in': {
        const wanted = this.#valueSet();
        return (value) => value !== undefined && wanted.has(value);
      }
      case 'notin': {
        const refused = this.#valueSet();
        return (value) => value === undefined || !refused.has(value);
      }
      case '<':
      case '>':
        return this.#numericComparison(operator.text);
      default:
        throw this.#unexpected(operator, 'one of =, ==, !=, in, notin, <, >');
    }
  }

  #numericComparison(operator: '<' | '>'): Requirement {
    const text = this.#exactValue();
    if (!/^-?\d{1,18}$/.test(text)) {
      throw new SelectorError(
        `label selector '${this.#text}': '${operator}' takes an integer, not '${text}'`,
      );
    }
    const bound = BigInt(text);
    return (value) => {
      if (value === undefined || !/^-?\d{1,18}$/.test(value)) return false;
      return operator === '<' ? BigInt(value) < bound : BigInt(value) > bound;
    };
  }

  #exactValue(): string {
    const next = this.#peek();
    if (next.type === 'end' || next.text === ',') return '';
    this.#at += 1;
    if (next.type !== 'identifier') throw this.#unexpected(next, 'a value');
    return this.#checkedValue(next.text);
  }

  /** `(a, b)`; an empty place between commas is the empty value, as Kubernetes takes it. */
  #valueSet(): Set<string> {
    const open = this.#next();
    if (open.text !== '(') throw this.#unexpected(open, "'('");
    const values = new Set<string>();
    for (;;) {
      const token = this.#peek();
      if (token.type === 'identifier') {
        values.add(this.#checkedValue(token.text));
        this.#at += 1;
      } else {
        values.add('');
      }
      const separator = this.#next();
      if (separator.text === ')') return values;
      if (separator.text !== ',') throw this.#unexpected(separator, "',' or ')'");
    }
  }

  #checkedKey(key: string): string {
    const slash = key.indexOf('/');
    const name = key.slice(slash + 1);
    const prefix = slash < 0 ? undefined : key.slice(0, slash);
    const prefixIsFine = prefix === undefined || (prefix.length <= MAX_PREFIX && LABEL_PREFIX.test(prefix));
    if (!prefixIsFine || name.length > MAX_NAME || !LABEL_NAME.test(name)) {
      throw new SelectorError(
        `label selector '${this.#text}': '${key}' is no label key: [DNS name/]name, the name at most ${MAX_NAME} letters, digits, '-', '_' or '.'`,
      );
    }
    return key;
  }

  #checkedValue(value: string): string {
    if (value !== '' && (value.length > MAX_NAME || !LABEL_NAME.test(value))) {
      throw new SelectorError(
        `label selector '${this.#text}': '${value}' is no label value: at most ${MAX_NAME} letters, digits, '-', '_' or '.'`,
      );
    }
    return value;
  }
}

/**
 * A predicate over labels: `a=b`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x)`, `a`, `!a`, `a>1`, joined by
 * commas that mean "and". An empty selector matches everything.
 * @throws SelectorError naming what was seen and what was expected
 */
export function parseLabelSelector(text: string): LabelSelector {
  const requirements = new LabelSelectorParser(text).parse();
  return (labels) =>
    requirements.every(([key, matches]) => {
      const value = ownValue(labels, key);
      return matches(typeof value === 'string' ? value : undefined);
    });
}

/** What every kind can be selected by. */
const COMMON_FIELDS = ['metadata.name', 'metadata.namespace'];

/** Splits at commas that no backslash precedes. */
function splitTerms(text: string): string[] {
  return text.match(/(?:\\[\s\S]|[^,\\])+\\?|\\$/g) ?? [];
}

function unescapeValue(raw: string, selector: string): string {
  return raw.replace(/\\([\s\S]?)|[=]/g, (seen, escaped: string | undefined) => {
    if (escaped !== undefined && escaped !== '' && '\\,='.includes(escaped)) return escaped;
    throw new SelectorError(
      `invalid field selector '${selector}': '${seen}' in a value must be escaped by '\\'`,
    );
  });
}

function fieldValue(object: unknown, path: string): string {
  let value: unknown = object;
  for (const part of path.split('.')) {
    if (!isJsonObject(value)) return '';
    value = ownValue(value as JsonObject, part);
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : '';
}

/**
 * A predicate over objects: `metadata.name=x,type!=y`. A field that the object lacks has the value ''.
 * @param fields the fields that this kind may be selected by, beside metadata.name and metadata.namespace
 * @throws SelectorError for a field that is not in the list, or text that is no selector
 */
export function parseFieldSelector(text: string, fields: readonly string[] = []): FieldSelector {
  const terms = splitTerms(text).map((term) => {
    const match = /^(.*?)(!=|==|=)([\s\S]*)$/.exec(term);
    if (!match)
      throw new SelectorError(`invalid field selector '${text}': no operator (=, ==, !=) in '${term}'`);
    const [, path = '', operator, raw = ''] = match;
    if (!COMMON_FIELDS.includes(path) && !fields.includes(path)) {
      const known = [...COMMON_FIELDS, ...fields].join(', ');
      throw new SelectorError(`field label not supported: '${path}'; this kind can be selected by ${known}`);
    }
    return { path, equal: operator !== '!=', value: unescapeValue(raw, text) };
  });
  return (object) => terms.every(({ path, equal, value }) => (fieldValue(object, path) === value) === equal);
}
