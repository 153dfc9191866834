/** Component-model types, resolved: no index is left in them (Component Model, Binary.md, "Type Definitions"). */

export type PrimitiveKind =
  | 'bool'
  | 's8'
  | 'u8'
  | 's16'
  | 'u16'
  | 's32'
  | 'u32'
  | 's64'
  | 'u64'
  | 'f32'
  | 'f64'
  | 'char'
  | 'string';

export interface NamedType {
  readonly name: string;
  readonly type: ValueType;
}

export interface Case {
  readonly name: string;
  readonly type: ValueType | null;
}

/** A resource type by number: index into the plan's `resources`. */
export type ResourceId = number;

export type ValueType =
  | { readonly kind: PrimitiveKind }
  | { readonly kind: 'record'; readonly fields: readonly NamedType[] }
  | { readonly kind: 'variant'; readonly cases: readonly Case[] }
  | { readonly kind: 'list'; readonly element: ValueType }
  | { readonly kind: 'tuple'; readonly items: readonly ValueType[] }
  | { readonly kind: 'flags'; readonly names: readonly string[] }
  | { readonly kind: 'enum'; readonly names: readonly string[] }
  | { readonly kind: 'option'; readonly some: ValueType }
  | { readonly kind: 'result'; readonly ok: ValueType | null; readonly error: ValueType | null }
  | { readonly kind: 'own' | 'borrow'; readonly resource: ResourceId };

export interface FuncType {
  readonly params: readonly NamedType[];
  readonly result: ValueType | null;
}

const PRIMITIVES: Readonly<Record<number, PrimitiveKind>> = {
  0x7f: 'bool',
  0x7e: 's8',
  0x7d: 'u8',
  0x7c: 's16',
  0x7b: 'u16',
  0x7a: 's32',
  0x79: 'u32',
  0x78: 's64',
  0x77: 'u64',
  0x76: 'f32',
  0x75: 'f64',
  0x74: 'char',
  0x73: 'string',
};

/** The primitive that an opcode stands for. */
export function primitive(opcode: number): PrimitiveKind | undefined {
  return PRIMITIVES[opcode];
}
