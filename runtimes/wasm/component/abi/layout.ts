/** Sizes, alignments and flat forms of values (Component Model, CanonicalABI.md, "Alignment", "Flattening"). */
import type { Case, ValueType } from '../types.ts';

export type FlatType = 'i32' | 'i64' | 'f32' | 'f64';

export const MAX_FLAT_PARAMS = 16;
export const MAX_FLAT_RESULTS = 1;

export interface Layout {
  readonly size: number;
  readonly align: number;
}

const SCALARS: Partial<Record<ValueType['kind'], number>> = {
  bool: 1,
  s8: 1,
  u8: 1,
  s16: 2,
  u16: 2,
  s32: 4,
  u32: 4,
  f32: 4,
  char: 4,
  own: 4,
  borrow: 4,
  s64: 8,
  u64: 8,
  f64: 8,
};

export function alignTo(offset: number, align: number): number {
  return Math.ceil(offset / align) * align;
}

/** The cases of a variant-like type: what they carry, in order of their discriminants. */
export function casesOf(type: ValueType): readonly Case[] | null {
  switch (type.kind) {
    case 'variant':
      return type.cases;
    case 'enum':
      return type.names.map((name) => ({ name, type: null }));
    case 'option':
      return [
        { name: 'none', type: null },
        { name: 'some', type: type.some },
      ];
    case 'result':
      return [
        { name: 'ok', type: type.ok },
        { name: 'err', type: type.error },
      ];
    default:
      return null;
  }
}

/** Bytes of a discriminant for that many cases. */
export function discriminantSize(cases: number): 1 | 2 | 4 {
  return cases <= 0x100 ? 1 : cases <= 0x1_0000 ? 2 : 4;
}

/** Where a variant's payload starts. */
export function payloadOffset(cases: readonly Case[]): number {
  const align = Math.max(1, ...cases.map((item) => (item.type ? layoutOf(item.type).align : 1)));
  return alignTo(discriminantSize(cases.length), align);
}

/** The types of a record-like value's parts, or null. */
export function partsOf(type: ValueType): readonly ValueType[] | null {
  if (type.kind === 'record') return type.fields.map((field) => field.type);
  return type.kind === 'tuple' ? type.items : null;
}

export function flagWords(names: readonly string[]): number {
  return names.length <= 32 ? 1 : Math.ceil(names.length / 32);
}

export function layoutOf(type: ValueType): Layout {
  const scalar = SCALARS[type.kind];
  if (scalar !== undefined) return { size: scalar, align: scalar };
  if (type.kind === 'string' || type.kind === 'list') return { size: 8, align: 4 };
  if (type.kind === 'flags') {
    const bits = type.names.length;
    const size = bits <= 8 ? 1 : bits <= 16 ? 2 : 4 * flagWords(type.names);
    return { size, align: Math.min(size, 4) };
  }
  const parts = partsOf(type);
  if (parts) {
    let size = 0;
    let align = 1;
    for (const part of parts) {
      const inner = layoutOf(part);
      size = alignTo(size, inner.align) + inner.size;
      align = Math.max(align, inner.align);
    }
    return { size: alignTo(size, align), align };
  }
  const cases = casesOf(type) ?? [];
  let size = 0;
  let align: number = discriminantSize(cases.length);
  for (const { type: payload } of cases) {
    if (!payload) continue;
    const inner = layoutOf(payload);
    size = Math.max(size, inner.size);
    align = Math.max(align, inner.align);
  }
  return { size: alignTo(payloadOffset(cases) + size, align), align };
}

/** The core values that a value is passed as. */
export function flatten(type: ValueType): FlatType[] {
  switch (type.kind) {
    case 's64':
    case 'u64':
      return ['i64'];
    case 'f32':
      return ['f32'];
    case 'f64':
      return ['f64'];
    case 'string':
    case 'list':
      return ['i32', 'i32'];
    case 'flags':
      return Array.from({ length: flagWords(type.names) }, () => 'i32' as const);
    default: {
      const parts = partsOf(type);
      if (parts) return parts.flatMap(flatten);
      const cases = casesOf(type);
      return cases ? ['i32', ...flattenPayload(cases)] : ['i32'];
    }
  }
}

/** One slot for each position, wide enough for whatever case uses it. */
export function flattenPayload(cases: readonly Case[]): FlatType[] {
  const slots: FlatType[] = [];
  for (const { type } of cases) {
    if (!type) continue;
    for (const [i, flat] of flatten(type).entries()) {
      const slot = slots[i];
      slots[i] = slot === undefined ? flat : join(slot, flat);
    }
  }
  return slots;
}

function join(a: FlatType, b: FlatType): FlatType {
  if (a === b) return a;
  return (a === 'i32' && b === 'f32') || (a === 'f32' && b === 'i32') ? 'i32' : 'i64';
}
