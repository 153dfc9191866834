/** Makes of a module the one whose initialiser is run: everything that it may change can be seen from outside. */
import { ByteReader, ByteWriter } from '../bytes.ts';
import { findSection, readVector } from '../layout.ts';
import { ModuleEdit, VALUE_TYPE } from '../module-edit.ts';
import { readSections, SECTION, writeSections } from '../sections.ts';
import { limitTables, readTables, TABLE_ELEMENTS } from '../tables.ts';
import { IMPORT_KIND } from '../types.ts';
import { SnapshotDeclined } from './declined.ts';

const PREFIX = 'fissium_snapshot_';
export const MEMORY_EXPORT = `${PREFIX}memory`;
export const START_EXPORT = `${PREFIX}start`;
export const globalExport = (index: number): string => `${PREFIX}global_${index}`;
export const tableExport = (index: number): string => `${PREFIX}table_${index}`;

export interface Capture {
  readonly wasm: Uint8Array;
  /** Exports to call, in order. */
  readonly calls: readonly string[];
  readonly hasMemory: boolean;
  /** Mutable globals by their place among those that the module defines. */
  readonly globals: readonly { readonly index: number; readonly numeric: boolean }[];
  /** How many tables are looked at; 0 where no code changes any. */
  readonly tables: number;
}

const OP = { tableSet: 0x26, memoryGrow: 0x40, bulk: 0xfc } as const;
const CODE = { localGet: 0x20, localTee: 0x22, i32Const: 0x41, equal: 0x46, if: 0x04, empty: 0x40, unreachable: 0x00, end: 0x0b, localSet: 0x21, add: 0x6a, gtU: 0x4b, memorySize: 0x3f } as const; // prettier-ignore
const DATA_DROP = 9;
const ELEMENT_DROP = 13;
/** table.init, table.copy, table.grow, table.fill. */
const TABLE_WRITES: readonly number[] = [12, 14, 15, 17];
/** A first memory of more is not searched through, and what an initialiser takes beyond it is not kept. */
const MAX_PAGES = 4096;
const MAX_GROWTH_PAGES = 512;

const NUMERIC: readonly number[] = [VALUE_TYPE.i32, VALUE_TYPE.i64, VALUE_TYPE.f32, VALUE_TYPE.f64];

/**
 * The module to run, or null where nothing of it runs before the first request.
 * @throws SnapshotDeclined with the reason, RewriteDeclined where the module cannot be read
 */
export function makeCapture(wasm: Uint8Array, initialisers: readonly string[]): Capture | null {
  const sections = readSections(wasm);
  const start = findSection(sections, SECTION.start);
  const exports = readVector(findSection(sections, SECTION.export), (reader) => ({
    name: reader.name(),
    kind: reader.byte(),
    index: reader.u32(),
  }));
  const named = initialisers.filter((name) =>
    exports.some((item) => item.name === name && item.kind === IMPORT_KIND.function),
  );
  if (!start && named.length === 0) return null;
  const edit = new ModuleEdit(writeSections(sections.filter(({ id }) => id !== SECTION.start)));
  checkShape(edit);
  const writesTables = survey(edit);
  const tables = writesTables ? checkTables(wasm) : 0;
  if (edit.memories.length > 0) {
    checkGrowth(edit, MAX_GROWTH_PAGES);
    edit.addExport(MEMORY_EXPORT, IMPORT_KIND.memory, 0);
  }
  const globals = edit.globals.flatMap(({ mutable, type }, index) =>
    mutable ? [{ index, numeric: NUMERIC.includes(type) }] : [],
  );
  for (const { index } of globals) edit.addExport(globalExport(index), IMPORT_KIND.global, index);
  for (let i = 0; i < tables; i++) edit.addExport(tableExport(i), IMPORT_KIND.table, i);
  if (start) {
    const index = new ByteReader(start.bytes, start.start, start.end).u32();
    edit.addExport(START_EXPORT, IMPORT_KIND.function, index);
  }
  return {
    // As in requests: where a table ends is the guest's to see, and its elements are the process's memory.
    wasm: limitTables(edit.write()),
    calls: [...(start ? [START_EXPORT] : []), ...named],
    hasMemory: edit.memories.length > 0,
    globals,
    tables,
  };
}

/** What is not the module's own cannot be in a snapshot of it. */
function checkShape(edit: ModuleEdit): void {
  const foreign = edit.imports.find(({ kind }) => kind !== IMPORT_KIND.function);
  if (foreign)
    throw new SnapshotDeclined(`it imports ${foreign.module} ${foreign.name}, which is no function`);
  if (edit.memories.length > 1) throw new SnapshotDeclined('it has more than one memory');
  const [memory] = edit.memories;
  if (memory?.shared) throw new SnapshotDeclined('its memory is shared between threads');
  if (memory?.wide) throw new SnapshotDeclined('its memory has 64-bit addresses');
  if (memory && memory.min > MAX_PAGES)
    throw new SnapshotDeclined('its memory is too large to search through');
}

/** Whether code changes tables. Dropped segments would have to stay dropped, which nothing can write down. */
function survey(edit: ModuleEdit): boolean {
  let writesTables = false;
  edit.walk({
    instruction: (_, opcode, sub) => {
      if (opcode === OP.tableSet || (opcode === OP.bulk && TABLE_WRITES.includes(sub))) writesTables = true;
      if (opcode === OP.bulk && (sub === DATA_DROP || sub === ELEMENT_DROP))
        throw new SnapshotDeclined('it drops segments');
    },
  });
  return writesTables;
}

function checkTables(wasm: Uint8Array): number {
  const tables = readTables(wasm);
  if (tables.reduce((sum, { min }) => sum + min, 0) > TABLE_ELEMENTS / 10)
    throw new SnapshotDeclined('its tables are too large to compare');
  return tables.length;
}

/**
 * Traps where `memory.grow` fails, or asks for more than `pages` beyond the memory's first size: how a guest goes
 * on behind that depends on limits that are not known at prepare time.
 */
function checkGrowth(edit: ModuleEdit, pages: number): void {
  const most = (edit.memories[0]?.min ?? 0) + pages;
  const code = new ByteWriter(64);
  const bytes = (...items: number[]): void => items.forEach((item) => code.byte(item));
  const constant = (value: number): void => {
    code.byte(CODE.i32Const);
    for (let left = value; ; left >>= 7) {
      if (left < 0x40) return code.byte(left);
      code.byte((left & 0x7f) | 0x80);
    }
  };
  const trap = (): void => bytes(CODE.if, CODE.empty, CODE.unreachable, CODE.end);
  bytes(CODE.localGet, 0);
  constant(most);
  bytes(CODE.gtU);
  trap();
  bytes(CODE.localGet, 0, CODE.memorySize, 0, CODE.add);
  constant(most);
  bytes(CODE.gtU);
  trap();
  bytes(CODE.localGet, 0, OP.memoryGrow, 0, CODE.localTee, 0, CODE.i32Const, 0x7f, CODE.equal);
  trap();
  bytes(CODE.localGet, 0);
  const grow = edit.addFunction({ params: 1, results: 1, locals: 0, code: code.view().slice() });
  edit.mapBodies(({ out, copyTo, skipTo }) => {
    let kind = 0;
    let begin = 0;
    return {
      instruction: (at, opcode) => {
        kind = opcode;
        begin = at;
      },
      memory: (_, end) => {
        if (kind !== OP.memoryGrow) return;
        copyTo(begin);
        out.byte(0x10);
        out.u32(grow);
        skipTo(end);
      },
    };
  });
}
