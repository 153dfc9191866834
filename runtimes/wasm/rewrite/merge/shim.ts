/**
 * Calls past shims: a component's modules need each other, so `wit-component` lets some calls go through a table
 * that a last module fills. Where such a table never changes again, a function that only calls through one of
 * its elements is that element, and the table goes where nothing else uses it.
 */
import { ByteReader } from '../bytes.ts';
import { RewriteDeclined } from '../declined.ts';
import { walkExpression } from '../instructions.ts';
import type { Range } from '../module-edit.ts';
import { FUNCREF, IGNORE, readerOf, type ElementSegment } from './core-module.ts';
import type { FunctionItem, LinkedPart, TableItem } from './link.ts';

const OP = { end: 0x0b, callIndirect: 0x11, returnCallIndirect: 0x13, localGet: 0x20, globalGet: 0x23, i32Const: 0x41 } as const; // prettier-ignore
/** A shim of as many parameters as a lowered function can have is shorter than this. */
const MAX_SHIM_BYTES = 128;
/** Each is looked for in all code that sees it; a component has one. */
const MAX_TABLES = 8;

interface Shim {
  readonly item: FunctionItem;
  readonly table: TableItem;
  readonly slot: number;
}

/**
 * Gives shims their aliases and drops tables. Only for parts whose tables are filled before any code runs.
 */
export function bypassShims(parts: readonly LinkedPart[]): void {
  const shims = parts.flatMap((part) => part.functions.flatMap((item) => readShim(item, part) ?? []));
  const tables = [...new Set(shims.map((shim) => shim.table))].slice(0, MAX_TABLES);
  for (const table of tables) {
    const own = shims.filter((shim) => shim.table === table);
    const slots = contentsOf(table, parts);
    if (!slots) continue;
    for (const { item, slot } of own) {
      const target = slots[slot];
      if (target && target.type === item.type) item.alias = target;
    }
    for (const { item } of own) if (item.alias && !finalOf(item)) item.alias = null;
    const calls = parts.reduce((sum, part) => sum + indirectCalls(part, table), 0);
    table.dropped = own.every(({ item }) => item.alias !== null) && calls === own.length;
  }
}

/** The function that is called in the end; null where aliases lead round in a circle. */
export function finalOf(item: FunctionItem): FunctionItem | null {
  if (!item.alias) return item;
  const seen = new Set<FunctionItem>();
  let current = item;
  while (current.alias) {
    if (seen.has(current)) return null;
    seen.add(current);
    current = current.alias;
  }
  // Chains can be as long as a module has functions: nobody follows one twice.
  for (const each of seen) each.alias = current;
  return current;
}

/** A function of the part's own that hands all of its parameters to one element of a table. */
function readShim(item: FunctionItem, part: LinkedPart): Shim | null {
  if (item.body?.part !== part || item.body.range.end - item.body.range.start > MAX_SHIM_BYTES) return null;
  const reader = readerOf(item.body.range);
  if (reader.u32() !== 0) return null;
  for (let param = paramCount(item); param > 0; param--) {
    if (reader.byte() !== OP.localGet || reader.u32() !== paramCount(item) - param) return null;
  }
  const slot = i32(reader);
  if (slot === null) return null;
  const op = reader.byte();
  if (op !== OP.callIndirect && op !== OP.returnCallIndirect) return null;
  const type = part.module.types[reader.u32()];
  const table = part.tables[reader.u32()];
  if (type !== item.type || !table || reader.byte() !== OP.end || !reader.done) return null;
  return { item, table, slot };
}

function paramCount({ type }: FunctionItem): number {
  return new ByteReader(
    Uint8Array.from(type, (char) => char.charCodeAt(0)),
    1,
  ).u32();
}

/** What `i32.const` gives, not negative; null for another instruction. */
function i32(reader: ByteReader): number | null {
  if (reader.byte() !== OP.i32Const) return null;
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = reader.byte();
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return (byte & 0x40) === 0 && value <= 0x7fff_ffff ? value : null;
  }
  return null;
}

/** The table's elements once all parts are there; null where code may change them, or they are not known. */
function contentsOf(table: TableItem, parts: readonly LinkedPart[]): (FunctionItem | undefined)[] | null {
  const { element, limits, initialiser } = table.definition;
  if (element !== FUNCREF || initialiser || limits.wide) return null;
  const slots: (FunctionItem | undefined)[] = [];
  for (const part of parts) {
    if (!part.tables.includes(table)) continue;
    if (changesTables(part, table)) return null;
    for (const segment of part.module.elements) {
      if (segment.mode !== 'active' || part.tables[segment.table] !== table) continue;
      const offset = offsetOf(segment, part);
      if (offset === null || offset + segment.items.length > limits.min) return null;
      for (const [i, value] of segment.items.entries()) {
        const item = typeof value === 'number' ? part.functions[value] : undefined;
        if (!item) return null;
        slots[offset + i] = item;
      }
    }
  }
  return slots;
}

function offsetOf({ offset }: ElementSegment, part: LinkedPart): number | null {
  if (!offset) return null;
  const reader = readerOf(offset);
  if (reader.bytes[reader.at] !== OP.globalGet) return constant(offset, 1);
  reader.byte();
  const index = reader.u32();
  const value = part.globals[index]?.constant;
  return value && reader.at === reader.end - 1 ? constant(value, 0) : null;
}

/** @param behind bytes that follow the instruction */
function constant(range: Range, behind: number): number | null {
  const reader = readerOf(range);
  const value = i32(reader);
  return reader.at === reader.end - behind ? value : null;
}

/** Whether code of the part does anything with the table but call through it. */
function changesTables(part: LinkedPart, table: TableItem): boolean {
  let found = false;
  eachTableUse(part, table, (opcode) => {
    found ||= opcode !== OP.callIndirect && opcode !== OP.returnCallIndirect;
  });
  return found;
}

function indirectCalls(part: LinkedPart, table: TableItem): number {
  let count = 0;
  if (part.tables.includes(table)) eachTableUse(part, table, () => count++);
  return count;
}

function eachTableUse(part: LinkedPart, table: TableItem, use: (opcode: number) => void): void {
  for (const range of part.module.bodies) {
    const reader = readerOf(range);
    for (let left = reader.u32(); left > 0; left--) {
      reader.u32();
      reader.skip(1);
      if ([0x63, 0x64].includes(reader.bytes[reader.at - 1] ?? 0))
        throw new RewriteDeclined('unknown-encoding', 'typed references in locals', reader.at);
    }
    let opcode = 0;
    walkExpression(reader, {
      ...IGNORE,
      instruction: (_, code) => (opcode = code),
      index: (_start, _end, space, index) => {
        if (space === 'table' && part.tables[index] === table) use(opcode);
      },
    });
  }
}
