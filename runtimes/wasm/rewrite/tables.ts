/** Reads the table section, and bounds what its tables may grow to: their elements lie outside guest memory. */
import { ByteWriter, type ByteReader } from './bytes.ts';
import { RewriteDeclined } from './declined.ts';
import { findSection, readVector } from './layout.ts';
import { readSections, SECTION, sectionOf, writeSections, type Section } from './sections.ts';
import { readLimits, skipValueType, type Limits } from './types.ts';

/** Elements of all tables of a module together. V8 takes some 30 bytes for each of a function table. */
export const TABLE_ELEMENTS = 1_000_000;

interface Table extends Limits {
  /** Where its limits lie in the module, and where its entry begins and ends. */
  readonly start: number;
  readonly limitsStart: number;
  readonly limitsEnd: number;
  readonly end: number;
}

/**
 * The tables that a module defines itself.
 * @throws RewriteDeclined where the section cannot be read
 */
export function readTables(wasm: Uint8Array): Limits[] {
  return readVector(tableSection(readSections(wasm)), readTable);
}

/**
 * The module with the maximum of each table lowered, so that `table.grow` fails before all of them together
 * pass TABLE_ELEMENTS; the same bytes where nothing changes. A table keeps what it begins with.
 * @throws RewriteDeclined where the module cannot be read
 */
export function limitTables(wasm: Uint8Array): Uint8Array {
  const sections = readSections(wasm);
  const section = tableSection(sections);
  const tables = readVector(section, readTable);
  const share = Math.floor(TABLE_ELEMENTS / Math.max(1, tables.length));
  const isBounded = ({ min, max }: Limits): boolean => max !== undefined && max <= Math.max(min, share);
  if (section === undefined || tables.every(isBounded)) return wasm;
  const out = new ByteWriter();
  out.u32(tables.length);
  for (const { start, limitsStart, limitsEnd, end, min, max, wide, shared } of tables) {
    out.copy(wasm, start, limitsStart);
    out.byte(1 | (shared ? 2 : 0) | (wide ? 4 : 0));
    out.u32(min);
    out.u32(Math.min(max ?? Infinity, Math.max(min, share)));
    out.copy(wasm, limitsEnd, end);
  }
  return writeSections(
    sections.map((entry) => (entry === section ? sectionOf(SECTION.table, out.view()) : entry)),
  );
}

function tableSection(sections: readonly Section[]): Section | undefined {
  return findSection(sections, SECTION.table);
}

const WITH_INITIALISER = 0x40;

function readTable(reader: ByteReader): Table {
  const start = reader.at;
  const initialised = reader.bytes[start] === WITH_INITIALISER;
  if (initialised) {
    reader.byte();
    reader.byte();
  }
  skipValueType(reader);
  const limitsStart = reader.at;
  const limits = readLimits(reader);
  const limitsEnd = reader.at;
  if (initialised) skipReference(reader);
  return { ...limits, start, limitsStart, limitsEnd, end: reader.at };
}

const OP = { end: 0x0b, globalGet: 0x23, refNull: 0xd0, refFunc: 0xd2 };

/** A constant expression that gives a reference. */
function skipReference(reader: ByteReader): void {
  for (;;) {
    const at = reader.at;
    const op = reader.byte();
    if (op === OP.end) return;
    if (op === OP.refNull) reader.skipLeb(33);
    else if (op === OP.refFunc || op === OP.globalGet) reader.u32();
    else throw new RewriteDeclined('unknown-encoding', `instruction ${op} in a constant expression`, at);
  }
}
