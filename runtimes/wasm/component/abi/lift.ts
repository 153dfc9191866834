/** Generates code that takes values over from the guest (CanonicalABI.md, "Loading", "Lifting Flat Values"). */
import type { Case, ValueType } from '../types.ts';
import type { CanonOptions } from '../plan.ts';
import type { Code } from './code.ts';
import {
  alignTo,
  casesOf,
  discriminantSize,
  flatten,
  flattenPayload,
  flagWords,
  layoutOf,
  partsOf,
  payloadOffset,
  type FlatType,
} from './layout.ts';
import { camel } from './names.ts';

export interface Slot {
  readonly expression: string;
  readonly flat: FlatType;
}

type Encoding = CanonOptions['encoding'];

export class Lifter {
  readonly #code: Code;
  readonly #encoding: Encoding;
  /** Whether the call both borrows handles and takes some over: then a borrowed one must not be given away. */
  readonly #lends: boolean;
  /** Whether the host's function takes views of guest memory for lists of bytes. */
  readonly #views: boolean;

  constructor(code: Code, encoding: Encoding, { lends = false, views = false } = {}) {
    this.#code = code;
    this.#encoding = encoding;
    this.#lends = lends;
    this.#views = views;
  }

  /** The expression of a value that arrives in core values; takes its slots from the front. */
  flat(type: ValueType, slots: Slot[]): string {
    const parts = partsOf(type);
    if (parts)
      return this.#assemble(
        type,
        parts.map((part) => this.flat(part, slots)),
      );
    const cases = casesOf(type);
    if (cases) return this.#flatVariant(type, cases, slots);
    if (type.kind === 'flags') {
      const words = Array.from({ length: flagWords(type.names) }, () => take(slots, 'i32'));
      return flagsFrom(type.names, words);
    }
    if (type.kind === 'string' || type.kind === 'list') {
      const pointer = take(slots, 'i32');
      return this.#pair(type, pointer, take(slots, 'i32'));
    }
    return this.#scalar(type, take(slots, flatten(type)[0] ?? 'i32'));
  }

  /** The expression of a value that lies in memory; `at` was checked for the whole of it. */
  memory(type: ValueType, at: string, offset: number): string {
    const place = `${at} + ${offset}`;
    const parts = partsOf(type);
    if (parts) {
      let next = offset;
      const items = parts.map((part) => {
        const { size, align } = layoutOf(part);
        const here = alignTo(next, align);
        next = here + size;
        return this.memory(part, at, here);
      });
      return this.#assemble(type, items);
    }
    const cases = casesOf(type);
    if (cases) return this.#memoryVariant(type, cases, at, offset);
    switch (type.kind) {
      case 'bool':
      case 'u8':
        return this.#scalar(type, `cx.dv.getUint8(${place})`);
      case 's8':
        return `cx.dv.getInt8(${place})`;
      case 'u16':
        return `cx.dv.getUint16(${place}, true)`;
      case 's16':
        return `cx.dv.getInt16(${place}, true)`;
      case 's64':
      case 'u64':
        return this.#scalar(type, `cx.dv.getBigInt64(${place}, true)`);
      case 'f32':
        return `cx.dv.getFloat32(${place}, true)`;
      case 'f64':
        return `cx.dv.getFloat64(${place}, true)`;
      case 'flags':
        return flagsFrom(type.names, flagLoads(type.names, at, offset));
      case 'string':
      case 'list':
        return this.#pair(type, `cx.dv.getInt32(${place}, true)`, `cx.dv.getInt32(${place} + 4, true)`);
      default:
        return this.#scalar(type, `cx.dv.getInt32(${place}, true)`);
    }
  }

  #assemble(type: ValueType, items: readonly string[]): string {
    if (type.kind !== 'record') return this.#code.let(`[${items.join(', ')}]`);
    const fields = type.fields.map((field, i) => `${JSON.stringify(camel(field.name))}: ${items[i]}`);
    return this.#code.let(`{ ${fields.join(', ')} }`);
  }

  #scalar(type: ValueType, value: string): string {
    switch (type.kind) {
      case 'bool':
        return `(${value} !== 0)`;
      case 'u8':
        return `(${value} & 0xff)`;
      case 's8':
        return `(${value} << 24 >> 24)`;
      case 'u16':
        return `(${value} & 0xffff)`;
      case 's16':
        return `(${value} << 16 >> 16)`;
      case 'u32':
        return `(${value} >>> 0)`;
      case 'u64':
        return `BigInt.asUintN(64, ${value})`;
      case 'char':
        return `cx.liftChar(${value})`;
      // Handles change tables: each is taken once, in order, wherever the value is used afterwards.
      case 'own':
        return this.#code.let(`cx.remove(${this.#code.constant(type.resource)}, ${value})`);
      case 'borrow':
        return this.#code.let(
          `cx.${this.#lends ? 'lend' : 'borrow'}(${this.#code.constant(type.resource)}, ${value})`,
        );
      default:
        return value;
    }
  }

  #pair(type: ValueType, pointer: string, length: string): string {
    if (type.kind === 'string') {
      return this.#code.let(
        this.#encoding === 'utf16'
          ? `cx.liftUtf16(${pointer}, ${length})`
          : `cx.liftString(${pointer}, ${length})`,
      );
    }
    if (type.kind !== 'list') throw new TypeError(`${type.kind} is not a pair`);
    if (type.element.kind === 'u8')
      return this.#code.let(`cx.${this.#views ? 'viewBytes' : 'liftBytes'}(${pointer}, ${length})`);
    const { size, align } = layoutOf(type.element);
    const count = this.#code.let(`${length} >>> 0`);
    const base = this.#code.let(
      `cx.listAt(${pointer}, ${count}, ${size}, ${align}, ${weightOf(type.element)})`,
    );
    const list = this.#code.let('[]');
    const i = this.#code.fresh();
    this.#code.line(`for (let ${i} = 0; ${i} < ${count}; ${i}++) {`);
    const at = this.#code.let(`${base} + ${i} * ${size}`);
    this.#code.line(`${list}.push(${this.memory(type.element, at, 0)});`);
    this.#code.line('}');
    return list;
  }

  #flatVariant(type: ValueType, cases: readonly Case[], slots: Slot[]): string {
    const discriminant = this.#code.let(take(slots, 'i32'));
    const payload = slots.splice(0, flattenPayload(cases).length);
    return this.#variant(type, cases, discriminant, (item) => this.flat(item, [...payload]));
  }

  #memoryVariant(type: ValueType, cases: readonly Case[], at: string, offset: number): string {
    const getter = { 1: 'getUint8', 2: 'getUint16', 4: 'getInt32' }[discriminantSize(cases.length)];
    const discriminant = this.#code.let(`cx.dv.${getter}(${at} + ${offset}, true)`);
    const payload = offset + payloadOffset(cases);
    return this.#variant(type, cases, discriminant, (item) => this.memory(item, at, payload));
  }

  #variant(
    type: ValueType,
    cases: readonly Case[],
    discriminant: string,
    payload: (type: ValueType) => string,
  ): string {
    const result = this.#code.fresh();
    this.#code.line(`let ${result};`);
    this.#code.line(`switch (${discriminant}) {`);
    for (const [i, item] of cases.entries()) {
      this.#code.line(`case ${i}: {`);
      const value = item.type ? payload(item.type) : null;
      this.#code.line(`${result} = ${caseValue(type, item, value)};`);
      this.#code.line('break; }');
    }
    this.#code.line(`default: cx.badCase(${discriminant}, ${JSON.stringify(type.kind)});`);
    this.#code.line('}');
    return result;
  }
}

/** How JavaScript writes one case: options as undefined or the value, enums as strings, others tagged. */
function caseValue(type: ValueType, item: Case, value: string | null): string {
  if (type.kind === 'enum') return JSON.stringify(item.name);
  if (type.kind === 'option') {
    if (item.name === 'none') return 'undefined';
    return type.some.kind === 'option' ? `{ tag: 'some', val: ${value} }` : `${value}`;
  }
  return `{ tag: ${JSON.stringify(item.name)}, val: ${value ?? 'undefined'} }`;
}

/**
 * Bytes that JavaScript spends on one value, at least: a guest may name the same few bytes of its memory in a
 * million elements. What strings and lists point to is counted as it is lifted.
 */
function weightOf(type: ValueType): number {
  const parts = partsOf(type);
  if (parts) return parts.reduce((sum, part) => sum + weightOf(part), 48);
  const cases = casesOf(type);
  if (cases) return Math.max(32, ...cases.map((item) => 48 + (item.type ? weightOf(item.type) : 0)));
  if (type.kind === 'flags') return 48 + 8 * type.names.length;
  if (type.kind === 'string') return 48;
  // A Uint8Array comes with its ArrayBuffer.
  if (type.kind === 'list') return type.element.kind === 'u8' ? 336 : 64;
  return 16;
}

function take(slots: Slot[], want: FlatType): string {
  const slot = slots.shift();
  if (!slot) throw new TypeError('a signature has fewer core values than its types need');
  const { expression, flat } = slot;
  if (flat === want) return expression;
  // A variant's slot is as wide as its widest case (CanonicalABI.md, "Lifting Flat Values").
  if (flat === 'i64' && want === 'i32') return `Number(BigInt.asIntN(32, ${expression}))`;
  if (flat === 'i64' && want === 'f64') return `cx.f64FromBits(${expression})`;
  if (want === 'f32')
    return `cx.f32FromBits(${flat === 'i64' ? `Number(BigInt.asIntN(32, ${expression}))` : expression})`;
  throw new TypeError(`${want} cannot be taken from ${flat}`);
}

function flagsFrom(names: readonly string[], words: readonly string[]): string {
  const items = names.map(
    (name, i) => `${JSON.stringify(camel(name))}: (${words[i >> 5]} >>> ${i & 31} & 1) === 1`,
  );
  return `{ ${items.join(', ')} }`;
}

function flagLoads(names: readonly string[], at: string, offset: number): string[] {
  if (names.length <= 8) return [`cx.dv.getUint8(${at} + ${offset})`];
  if (names.length <= 16) return [`cx.dv.getUint16(${at} + ${offset}, true)`];
  return Array.from(
    { length: flagWords(names) },
    (_, i) => `cx.dv.getInt32(${at} + ${offset + i * 4}, true)`,
  );
}
