/**
 * Copies of the tables that code writes, so that a reset can bring back what they began with. Each has its
 * table's first elements, from the same initialiser and the same segments, and nobody else knows it.
 */
import { ByteReader, ByteWriter } from './bytes.ts';
import { RewriteDeclined } from './declined.ts';
import { walkExpression, type InstructionVisitor } from './instructions.ts';
import { countImports, findSection, readVector } from './layout.ts';
import { signed, type ModuleEdit } from './module-edit.ts';
import { insertSection, readSections, SECTION, sectionOf, writeSections, type Section } from './sections.ts';
import { TABLE_ELEMENTS } from './tables.ts';
import { IMPORT_KIND, readImport, readLimits, skipValueType } from './types.ts';

/** Elements that a reset copies at most: each takes some 40 ns, so that more cost as much as a new instance. */
const MAX_ELEMENTS = 1000;
/** With their copies no more than a module may have (`prepare/bounds.ts`). */
const MAX_TABLES = 100;

/** A table and its copy, by their indices. */
export interface TableCopy {
  readonly table: number;
  readonly copy: number;
  readonly elements: number;
}

const OP = { tableSet: 0x26, bulk: 0xfc } as const;
const BULK = { tableInit: 12, elemDrop: 13, tableCopy: 14, tableGrow: 15, tableFill: 17 } as const;
const WRITES: readonly number[] = [BULK.tableInit, BULK.tableCopy, BULK.tableFill];
const WITH_INITIALISER = 0x40;
const HAS_MAX = 1;
const FUNCREF = 0x70;
const FUNCTIONS = 0;
const IGNORE: InstructionVisitor = {
  loop: () => undefined,
  call: () => undefined,
  global: () => undefined,
  memory: () => undefined,
  access: () => undefined,
};

/** The tables that code writes, by their index, or why they cannot be brought back. */
export function writtenTables(edit: ModuleEdit): ReadonlySet<number> | string {
  const written = new Set<number>();
  let blocker: string | null = null;
  let writes = false;
  let inits = false;
  let drops = false;
  edit.walk({
    instruction: (_, opcode, sub) => {
      writes = opcode === OP.tableSet || (opcode === OP.bulk && WRITES.includes(sub));
      inits ||= opcode === OP.bulk && sub === BULK.tableInit;
      drops ||= opcode === OP.bulk && sub === BULK.elemDrop;
      // A table never becomes smaller.
      if (opcode === OP.bulk && sub === BULK.tableGrow) blocker = 'it grows tables';
    },
    index: (_start, _end, space, index) => {
      // Where two tables are named, the one that is only read counts as well.
      if (writes && space === 'table') written.add(index);
    },
  });
  // Of a segment that was dropped, nothing can be copied in the next life either.
  if (inits && drops) blocker = 'it drops element segments';
  return blocker ?? written;
}

/**
 * The module with a copy of each of these tables behind its own, or why it cannot have them.
 * @throws RewriteDeclined where the module cannot be read
 */
export function addTableCopies(
  wasm: Uint8Array,
  written: ReadonlySet<number>,
): { readonly wasm: Uint8Array; readonly copies: readonly TableCopy[] } | string {
  const sections = readSections(wasm);
  const imported = countImports(
    readVector(findSection(sections, SECTION.import), readImport),
    IMPORT_KIND.table,
  );
  const tables = findSection(sections, SECTION.table);
  const entries = readVector(tables, readTable);
  const copies: TableCopy[] = [];
  const added: Uint8Array[] = [];
  for (const table of written) {
    const entry = entries[table - imported];
    if (!entry) return "it writes another module's tables";
    if (entry.wide) return 'it writes tables with 64-bit indices';
    copies.push({ table, copy: imported + entries.length + copies.length, elements: entry.min });
    added.push(entry.copy);
  }
  const elements = copies.reduce((sum, item) => sum + item.elements, 0);
  if (elements > MAX_ELEMENTS)
    return `it writes tables of ${elements} elements; at most ${MAX_ELEMENTS} are brought back`;
  const all = entries.reduce((sum, { min }) => sum + min, elements);
  if (entries.length + copies.length > MAX_TABLES || all > TABLE_ELEMENTS)
    return 'it writes one of many tables';
  append(sections, SECTION.table, added);
  const segments = readVector(findSection(sections, SECTION.element), readElement);
  append(
    sections,
    SECTION.element,
    segments.flatMap((segment) => {
      const copy = copies.find(({ table }) => table === segment?.table)?.copy;
      return segment && copy !== undefined ? [segment.into(copy)] : [];
    }),
  );
  return { wasm: writeSections(sections), copies };
}

/** The code that brings one back, for a function of a module that has been given the copies. */
export function restoreTable(out: ByteWriter, { table, copy, elements }: TableCopy): void {
  for (const value of [0, 0, elements]) {
    out.byte(0x41);
    signed(out, value);
  }
  out.byte(OP.bulk);
  out.u32(BULK.tableCopy);
  out.u32(table);
  out.u32(copy);
}

/** A table's first size, and the entry that makes another one like it which cannot grow. */
function readTable(reader: ByteReader): { min: number; wide: boolean; copy: Uint8Array } {
  const start = reader.at;
  const initialised = reader.bytes[start] === WITH_INITIALISER;
  if (initialised) reader.skip(2);
  skipValueType(reader);
  const limitsStart = reader.at;
  const { min, wide, shared } = readLimits(reader);
  if (shared) throw new RewriteDeclined('unknown-encoding', 'a shared table', limitsStart);
  const limitsEnd = reader.at;
  if (initialised) walkExpression(reader, IGNORE);
  const out = new ByteWriter(64);
  out.copy(reader.bytes, start, limitsStart);
  out.byte(HAS_MAX);
  out.u32(min);
  out.u32(min);
  out.copy(reader.bytes, limitsEnd, reader.at);
  return { min, wide, copy: out.view().slice() };
}

interface ActiveSegment {
  readonly table: number;
  /** The same segment for another table. */
  readonly into: (table: number) => Uint8Array;
}

/** Flag bits: 1 not active, 2 with a table index (or declarative), 4 as expressions. Null for those not active. */
function readElement(reader: ByteReader): ActiveSegment | null {
  const at = reader.at;
  const flags = reader.u32();
  if (flags > 7) throw new RewriteDeclined('unknown-encoding', `element segment ${flags}`, at);
  const active = (flags & 1) === 0;
  const explicit = (flags & 2) !== 0;
  const expressions = (flags & 4) !== 0;
  const table = active && explicit ? reader.u32() : 0;
  const offsetStart = reader.at;
  if (active) walkExpression(reader, IGNORE);
  const offsetEnd = reader.at;
  if ((flags & 3) !== 0) {
    if (expressions) skipValueType(reader);
    else reader.byte();
  }
  const listStart = reader.at;
  for (let left = reader.u32(); left > 0; left--) {
    if (expressions) walkExpression(reader, IGNORE);
    else reader.skipLeb(32);
  }
  const end = reader.at;
  if (!active) return null;
  return {
    table,
    into: (copy) => {
      const out = new ByteWriter(end - at + 16);
      out.u32(flags | 2);
      out.u32(copy);
      out.copy(reader.bytes, offsetStart, offsetEnd);
      if (explicit) out.copy(reader.bytes, offsetEnd, listStart);
      else out.byte(expressions ? FUNCREF : FUNCTIONS);
      out.copy(reader.bytes, listStart, end);
      return out.view().slice();
    },
  };
}

function append(sections: Section[], id: number, items: readonly Uint8Array[]): void {
  if (items.length === 0) return;
  const before = findSection(sections, id);
  const out = new ByteWriter(1024);
  if (before) {
    const reader = new ByteReader(before.bytes, before.start, before.end);
    out.u32(reader.u32() + items.length);
    out.copy(before.bytes, reader.at, before.end);
  } else out.u32(items.length);
  for (const item of items) out.copy(item);
  const section = sectionOf(id, out.view().slice());
  if (before) sections[sections.indexOf(before)] = section;
  else insertSection(sections, section);
}
