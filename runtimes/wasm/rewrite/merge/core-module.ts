/** A core module taken apart for merging: every item that has a number, with its type in a form that compares. */
import { ByteReader } from '../bytes.ts';
import { RewriteDeclined } from '../declined.ts';
import { walkExpression, type InstructionVisitor } from '../instructions.ts';
import { findSection, readVector, type ModuleExport } from '../layout.ts';
import type { Range } from '../module-edit.ts';
import { readSections, SECTION } from '../sections.ts';
import { IMPORT_KIND, readLimits, skipValueType, type Limits } from '../types.ts';

/** Value types and function types are kept as their bytes, read as latin1: equal strings are equal types. */
export type TypeBytes = string;

/** What an imported or defined item is; imports are held against what they are given. */
export type ItemType =
  | { readonly kind: typeof IMPORT_KIND.function; readonly type: TypeBytes }
  | { readonly kind: typeof IMPORT_KIND.table; readonly element: TypeBytes; readonly limits: Limits }
  | { readonly kind: typeof IMPORT_KIND.memory; readonly limits: Limits }
  | { readonly kind: typeof IMPORT_KIND.global; readonly value: TypeBytes; readonly mutable: boolean }
  | { readonly kind: typeof IMPORT_KIND.tag; readonly type: TypeBytes };

export interface ImportedItem {
  readonly module: string;
  readonly name: string;
  readonly item: ItemType;
}

export interface TableDefinition {
  readonly element: TypeBytes;
  readonly limits: Limits;
  /** With its `end`; null where the elements begin as null. */
  readonly initialiser: Range | null;
}

export interface GlobalItem {
  readonly value: TypeBytes;
  readonly mutable: boolean;
  /** With its `end`. */
  readonly initialiser: Range;
}

export interface ElementSegment {
  readonly mode: 'active' | 'passive' | 'declarative';
  readonly table: number;
  /** With its `end`; null unless it is active. */
  readonly offset: Range | null;
  readonly element: TypeBytes;
  /** Functions by their number, or expressions with their `end`. */
  readonly items: readonly number[] | readonly Range[];
}

export interface DataItem {
  /** With its `end`; null where it is passive. */
  readonly offset: Range | null;
  readonly content: Range;
}

export interface CoreModule {
  readonly bytes: Uint8Array;
  readonly types: readonly TypeBytes[];
  readonly imports: readonly ImportedItem[];
  /** Type index of each defined function. */
  readonly functions: readonly number[];
  readonly tables: readonly TableDefinition[];
  readonly memories: readonly Limits[];
  /** Type index of each defined tag. */
  readonly tags: readonly number[];
  readonly globals: readonly GlobalItem[];
  readonly exports: readonly ModuleExport[];
  readonly start: number | null;
  readonly elements: readonly ElementSegment[];
  readonly data: readonly DataItem[];
  /** Locals and code of each defined function. */
  readonly bodies: readonly Range[];
  /** Names of functions, by their number. */
  readonly names: ReadonlyMap<number, string>;
}

const FUNCTION_TYPE = 0x60;
const REF = 0x64;
const REF_NULL = 0x63;
export const FUNCREF: TypeBytes = '\x70';
const TABLE_WITH_INITIALISER = 0x40;
const FUNCTION_NAMES = 1;

export const IGNORE: InstructionVisitor = {
  loop: () => undefined,
  call: () => undefined,
  global: () => undefined,
  memory: () => undefined,
  access: () => undefined,
};

/**
 * Takes a valid module apart.
 * @throws RewriteDeclined where it has types that refer to types (garbage collection, typed references).
 */
export function readCoreModule(bytes: Uint8Array): CoreModule {
  const sections = readSections(bytes);
  const read = <T>(id: number, item: (reader: ByteReader) => T): T[] =>
    readVector(findSection(sections, id), item);
  const types = read(SECTION.type, readFunctionType);
  const typeAt = (index: number): TypeBytes => {
    const type = types[index];
    if (type === undefined) throw new RewriteDeclined('malformed', `there is no type ${index}`, -1);
    return type;
  };
  const start = findSection(sections, SECTION.start);
  const names = sections.find(({ name }) => name === 'name');
  return {
    bytes,
    types,
    imports: read(SECTION.import, (reader) => ({
      module: reader.name(),
      name: reader.name(),
      item: readItemType(reader, typeAt),
    })),
    functions: read(SECTION.function, (reader) => reader.u32()),
    tables: read(SECTION.table, readTable),
    memories: read(SECTION.memory, readLimits),
    tags: read(SECTION.tag, readTag),
    globals: read(SECTION.global, (reader) => ({
      ...readGlobalType(reader),
      initialiser: expression(reader),
    })),
    exports: read(SECTION.export, (reader) => ({
      name: reader.name(),
      kind: reader.byte(),
      index: reader.u32(),
    })),
    start: start ? new ByteReader(start.bytes, start.start, start.end).u32() : null,
    elements: read(SECTION.element, readElement),
    data: read(SECTION.data, readData),
    bodies: read(SECTION.code, (reader) => slice(reader, reader.u32())),
    names: names ? readFunctionNames(new ByteReader(names.bytes, names.start, names.end)) : new Map(),
  };
}

/** A value type's bytes, where it refers to no other type. */
export function plainValueType(reader: ByteReader): TypeBytes {
  const start = reader.at;
  skipValueType(reader);
  const first = reader.bytes[start];
  if ((first === REF || first === REF_NULL) && isTypeIndex(reader.bytes, start + 1)) {
    throw new RewriteDeclined('unknown-encoding', 'a reference to a type of the module', start);
  }
  return latin1(reader.bytes, start, reader.at);
}

/** Whether the heap type that begins there is the number of a type: abstract ones are negative, of one byte. */
export function isTypeIndex(bytes: Uint8Array, at: number): boolean {
  const first = bytes[at] ?? 0;
  return first >= 0x80 || (first & 0x40) === 0;
}

/** A range as a reader over it. */
export function readerOf({ bytes, start, end }: Range): ByteReader {
  return new ByteReader(bytes, start, end);
}

function readFunctionType(reader: ByteReader): TypeBytes {
  const start = reader.at;
  if (reader.byte() !== FUNCTION_TYPE)
    throw new RewriteDeclined('unknown-encoding', 'a type that is not a plain function', start);
  for (let list = 0; list < 2; list++) for (let left = reader.u32(); left > 0; left--) plainValueType(reader);
  return latin1(reader.bytes, start, reader.at);
}

function readItemType(reader: ByteReader, typeAt: (index: number) => TypeBytes): ItemType {
  const at = reader.at;
  const kind = reader.byte();
  switch (kind) {
    case IMPORT_KIND.function:
      return { kind, type: typeAt(reader.u32()) };
    case IMPORT_KIND.table:
      return { kind, element: plainValueType(reader), limits: readLimits(reader) };
    case IMPORT_KIND.memory:
      return { kind, limits: readLimits(reader) };
    case IMPORT_KIND.global:
      return { kind, ...readGlobalType(reader) };
    case IMPORT_KIND.tag:
      return { kind, type: typeAt(readTag(reader)) };
    default:
      throw new RewriteDeclined('unknown-encoding', `import kind ${kind}`, at);
  }
}

function readGlobalType(reader: ByteReader): { value: TypeBytes; mutable: boolean } {
  const value = plainValueType(reader);
  const at = reader.at;
  const mutable = reader.byte();
  if (mutable > 1) throw new RewriteDeclined('unknown-encoding', `global flags ${mutable}`, at);
  return { value, mutable: mutable === 1 };
}

function readTag(reader: ByteReader): number {
  reader.byte();
  return reader.u32();
}

function readTable(reader: ByteReader): TableDefinition {
  const initialised = reader.bytes[reader.at] === TABLE_WITH_INITIALISER;
  if (initialised) reader.skip(2);
  const element = plainValueType(reader);
  const limits = readLimits(reader);
  return { element, limits, initialiser: initialised ? expression(reader) : null };
}

/** Flag bits: 1 not active, 2 with a table index (or declarative), 4 as expressions. */
function readElement(reader: ByteReader): ElementSegment {
  const at = reader.at;
  const flags = reader.u32();
  if (flags > 7) throw new RewriteDeclined('unknown-encoding', `element segment ${flags}`, at);
  const active = (flags & 1) === 0;
  const table = active && (flags & 2) !== 0 ? reader.u32() : 0;
  const offset = active ? expression(reader) : null;
  const expressions = (flags & 4) !== 0;
  let element = FUNCREF;
  if ((flags & 3) !== 0) {
    if (expressions) element = plainValueType(reader);
    else reader.byte();
  }
  const items: (number | Range)[] = [];
  for (let left = reader.u32(); left > 0; left--) items.push(expressions ? expression(reader) : reader.u32());
  const mode = active ? 'active' : (flags & 2) === 0 ? 'passive' : 'declarative';
  return { mode, table, offset, element, items: items as number[] | Range[] };
}

function readData(reader: ByteReader): DataItem {
  const at = reader.at;
  const flags = reader.u32();
  if (flags > 2) throw new RewriteDeclined('unknown-encoding', `data segment ${flags}`, at);
  if (flags === 2) reader.u32();
  const offset = flags === 1 ? null : expression(reader);
  return { offset, content: slice(reader, reader.u32()) };
}

function expression(reader: ByteReader): Range {
  const start = reader.at;
  walkExpression(reader, IGNORE);
  return { bytes: reader.bytes, start, end: reader.at };
}

function slice(reader: ByteReader, length: number): Range {
  const start = reader.at;
  reader.skip(length);
  return { bytes: reader.bytes, start, end: reader.at };
}

/** Nothing depends on names: those that cannot be read are left out. */
function readFunctionNames(reader: ByteReader): Map<number, string> {
  const names = new Map<number, string>();
  try {
    while (!reader.done) {
      const id = reader.byte();
      const section = readerOf(slice(reader, reader.u32()));
      if (id !== FUNCTION_NAMES) continue;
      for (let left = section.u32(); left > 0; left--) names.set(section.u32(), section.name());
    }
  } catch (error) {
    if (!(error instanceof RewriteDeclined)) throw error;
  }
  return names;
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}
