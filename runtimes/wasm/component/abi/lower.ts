/** Generates code that hands values to the guest (CanonicalABI.md, "Storing", "Lowering Flat Values"). */
import { LinkDeclined } from '../declined.ts';
import type { CanonOptions } from '../plan.ts';
import type { Case, ValueType } from '../types.ts';
import type { Code } from './code.ts';
import {
  alignTo,
  casesOf,
  discriminantSize,
  flatten,
  flagWords,
  layoutOf,
  partsOf,
  payloadOffset,
} from './layout.ts';
import { camel } from './names.ts';

export class Lowerer {
  readonly #code: Code;
  readonly #encoding: CanonOptions['encoding'];

  constructor(code: Code, encoding: CanonOptions['encoding']) {
    this.#code = code;
    this.#encoding = encoding;
  }

  /** The one core value that a value becomes; for types that flatten to one. */
  flat(type: ValueType, value: string): string {
    const parts = partsOf(type);
    if (parts?.[0]) {
      return this.flat(
        parts[0],
        type.kind === 'record' ? member(value, type.fields[0]?.name ?? '') : `${value}[0]`,
      );
    }
    const cases = casesOf(type);
    if (cases) {
      if (flatten(type).length !== 1)
        throw new LinkDeclined(`a ${type.kind} with a payload is returned flat`);
      return this.#discriminant(type, cases, value);
    }
    if (type.kind === 'flags') return flagWord(type.names, value, 0);
    return this.#scalar(type, value);
  }

  /** Stores a value; `at` was checked for the whole of it. */
  memory(type: ValueType, at: string, offset: number, value: string): void {
    const code = this.#code;
    const place = `${at} + ${offset}`;
    const parts = partsOf(type);
    if (parts) {
      const whole = code.let(value);
      let next = offset;
      for (const [i, part] of parts.entries()) {
        const { size, align } = layoutOf(part);
        const here = alignTo(next, align);
        next = here + size;
        const item = type.kind === 'record' ? member(whole, type.fields[i]?.name ?? '') : `${whole}[${i}]`;
        this.memory(part, at, here, item);
      }
      return;
    }
    const cases = casesOf(type);
    if (cases) {
      this.#memoryVariant(type, cases, at, offset, value);
      return;
    }
    const scalar = (): string => this.#scalar(type, value);
    switch (type.kind) {
      case 'bool':
      case 'u8':
      case 's8':
        code.line(`cx.dv.setUint8(${place}, ${scalar()});`);
        return;
      case 'u16':
      case 's16':
        code.line(`cx.dv.setUint16(${place}, ${scalar()}, true);`);
        return;
      case 'u64':
      case 's64':
        code.line(`cx.dv.setBigInt64(${place}, ${scalar()}, true);`);
        return;
      case 'f32':
        code.line(`cx.dv.setFloat32(${place}, ${scalar()}, true);`);
        return;
      case 'f64':
        code.line(`cx.dv.setFloat64(${place}, ${scalar()}, true);`);
        return;
      case 'flags':
        this.#flags(type.names, at, offset, code.let(value));
        return;
      case 'string':
      case 'list':
        this.#pair(type, at, offset, value);
        return;
      default:
        code.line(`cx.dv.setInt32(${place}, ${scalar()}, true);`);
    }
  }

  #scalar(type: ValueType, value: string): string {
    switch (type.kind) {
      case 'bool':
        return `(${value} ? 1 : 0)`;
      case 'char':
        return `${value}.codePointAt(0)`;
      case 'own':
        return `cx.add(${this.#code.constant(type.resource)}, ${value})`;
      case 'borrow':
        throw new LinkDeclined('the host would lend the guest a handle in an answer');
      case 's64':
      case 'u64':
        return `BigInt.asIntN(64, ${value})`;
      default:
        return value;
    }
  }

  #pair(type: ValueType, at: string, offset: number, value: string): void {
    const code = this.#code;
    let pointer: string;
    let length = 'cx.length';
    if (type.kind === 'string') {
      const lower = this.#encoding === 'utf16' ? 'lowerUtf16' : 'lowerString';
      pointer = code.let(`cx.${lower}(${value}, realloc)`);
    } else if (type.kind === 'list' && type.element.kind === 'u8') {
      pointer = code.let(`cx.lowerBytes(${value}, realloc)`);
    } else if (type.kind === 'list') {
      const { size, align } = layoutOf(type.element);
      const list = code.let(value);
      length = code.let(`cx.itemCount(${list})`);
      pointer = code.let(`cx.realloc(realloc, ${align}, ${length} * ${size})`);
      const i = code.fresh();
      code.line(`for (let ${i} = 0; ${i} < ${length}; ${i}++) {`);
      this.memory(type.element, code.let(`${pointer} + ${i} * ${size}`), 0, `${list}[${i}]`);
      code.line('}');
    } else throw new TypeError(`${type.kind} is not a pair`);
    code.line(`cx.dv.setInt32(${at} + ${offset}, ${pointer}, true);`);
    code.line(`cx.dv.setInt32(${at} + ${offset + 4}, ${length}, true);`);
  }

  #memoryVariant(type: ValueType, cases: readonly Case[], at: string, offset: number, value: string): void {
    const code = this.#code;
    const whole = code.let(value);
    const discriminant = code.let(this.#discriminant(type, cases, whole));
    const setter = { 1: 'setUint8', 2: 'setUint16', 4: 'setInt32' }[discriminantSize(cases.length)];
    code.line(`cx.dv.${setter}(${at} + ${offset}, ${discriminant}, true);`);
    if (cases.every((item) => !item.type)) return;
    const payload = offset + payloadOffset(cases);
    code.line(`switch (${discriminant}) {`);
    for (const [i, item] of cases.entries()) {
      if (!item.type) continue;
      code.line(`case ${i}: {`);
      const plain = type.kind === 'option' && type.some.kind !== 'option';
      this.memory(item.type, at, payload, plain ? whole : `${whole}.val`);
      code.line('break; }');
    }
    code.line('}');
  }

  #discriminant(type: ValueType, cases: readonly Case[], value: string): string {
    switch (type.kind) {
      case 'option':
        return `(${value} === undefined ? 0 : 1)`;
      case 'result':
        return `(${value}.tag === 'ok' ? 0 : 1)`;
      default: {
        const numbers = new Map(cases.map((item, i) => [item.name, i]));
        const tag = type.kind === 'enum' ? value : `${value}.tag`;
        return `cx.caseNumber(${this.#code.constant(numbers)}, ${tag})`;
      }
    }
  }

  #flags(names: readonly string[], at: string, offset: number, value: string): void {
    const code = this.#code;
    if (names.length <= 8) code.line(`cx.dv.setUint8(${at} + ${offset}, ${flagWord(names, value, 0)});`);
    else if (names.length <= 16)
      code.line(`cx.dv.setUint16(${at} + ${offset}, ${flagWord(names, value, 0)}, true);`);
    else {
      for (let word = 0; word < flagWords(names); word++) {
        code.line(`cx.dv.setInt32(${at} + ${offset + word * 4}, ${flagWord(names, value, word)}, true);`);
      }
    }
  }
}

function member(value: string, name: string): string {
  return `${value}[${JSON.stringify(camel(name))}]`;
}

function flagWord(names: readonly string[], value: string, word: number): string {
  const bits = names
    .slice(word * 32, word * 32 + 32)
    .map((name, i) => `(${member(value, name)} ? ${2 ** i} : 0)`);
  return bits.length === 0 ? '0' : `(${bits.join(' | ')})`;
}
