/**
 * Reset in place: a generated function makes a used instance what a new one would be. Data segments become
 * passive, and are copied by a generated start function and again by the reset; mutable globals get their
 * initial values; memory is zeroed, the window only where the write check saw nothing outside of it.
 */
import { ByteWriter } from './bytes.ts';
import { constantOf, signed, type ModuleEdit } from './module-edit.ts';
import { restoreTable, type TableCopy } from './table-copies.ts';
import { IMPORT_KIND } from './types.ts';
import type { VirtualMemory } from './virtual-memory.ts';
import type { Window } from './write-check.ts';

/** `(param i32)`: other than 0 where the host wrote outside of the window. */
export const RESET_EXPORT = 'fissium_reset';

const OP = {
  if: 0x04, else: 0x05, end: 0x0b, localGet: 0x20, globalGet: 0x23, globalSet: 0x24, localSet: 0x21, memorySize: 0x3f,
  i32Const: 0x41, ltU: 0x49, sub: 0x6b, or: 0x72, shl: 0x74, select: 0x1b, bulk: 0xfc,
} as const; // prettier-ignore
const EMPTY = 0x40;
const MEMORY_INIT = 8;
const MEMORY_FILL = 11;
const PAGE_BYTES = 65536;
/** Segments shorter than this are zeroed with what lies around them: a second fill costs more. */
const WORTH_A_GAP_BYTES = 2048;

export interface ResetOptions {
  /** Index of the write check's flag, and its window; null: all of the memory is zeroed each time. */
  readonly writes: { readonly flag: number; readonly window: Window } | null;
  /** Null where the module has no memory, or one that never grows. */
  readonly virtual: VirtualMemory | null;
  /** Tables that code writes, with what they began with. */
  readonly tables: readonly TableCopy[];
}

/** Adds the reset function, exported as {@link RESET_EXPORT}, to a module that {@link resetBlocker} lets pass. */
export function addReset(edit: ModuleEdit, options: ResetOptions): void {
  const copy = new ByteWriter(1024);
  copySegments(edit, copy);
  const reset = new ByteWriter(1024);
  const [memory] = edit.memories;
  if (memory) zero(edit, reset, options);
  reset.copy(copy.view());
  resetGlobals(edit, reset);
  for (const table of options.tables) restoreTable(reset, table);
  if (options.virtual && memory) setGlobal(reset, options.virtual.pages, memory.min);
  if (options.writes) setGlobal(reset, options.writes.flag, 0);
  const index = edit.addFunction({ params: 1, results: 0, locals: 1, code: reset.view() });
  edit.addExport(RESET_EXPORT, IMPORT_KIND.function, index);
  if (edit.data.some(({ active }) => active)) {
    edit.setStart(edit.addFunction({ params: 0, results: 0, locals: 0, code: copy.view() }));
    edit.makeDataPassive();
  }
}

function constant(out: ByteWriter, value: number): void {
  out.byte(OP.i32Const);
  signed(out, value);
}

function setGlobal(out: ByteWriter, index: number, value: number): void {
  constant(out, value);
  out.byte(OP.globalSet);
  out.u32(index);
}

function copySegments(edit: ModuleEdit, out: ByteWriter): void {
  for (const [i, { offset, content }] of edit.data.entries()) {
    if (offset === null || content.end === content.start) continue;
    constant(out, offset);
    constant(out, 0);
    constant(out, content.end - content.start);
    out.byte(OP.bulk);
    out.u32(MEMORY_INIT);
    out.u32(i);
    out.byte(0);
  }
}

function resetGlobals(edit: ModuleEdit, out: ByteWriter): void {
  const imported = edit.importCount(IMPORT_KIND.global);
  for (const [i, { mutable, initialiser }] of edit.globals.entries()) {
    if (!mutable) continue;
    out.copy(initialiser.bytes, initialiser.start, initialiser.end);
    out.byte(OP.globalSet);
    out.u32(imported + i);
  }
}

function zero(edit: ModuleEdit, out: ByteWriter, { writes }: ResetOptions): void {
  const all = (): void => {
    constant(out, 0);
    constant(out, 0);
    realSize(out);
    fill(out);
  };
  if (!writes) {
    all();
    return;
  }
  const { flag, window } = writes;
  out.byte(OP.localGet);
  out.u32(0);
  out.byte(OP.globalGet);
  out.u32(flag);
  out.byte(OP.or);
  out.byte(OP.if);
  out.byte(EMPTY);
  all();
  out.byte(OP.else);
  // The window's end, or the memory's where that comes first.
  constant(out, window.to);
  realSize(out);
  constant(out, window.to);
  realSize(out);
  out.byte(OP.ltU);
  out.byte(OP.select);
  out.byte(OP.localSet);
  out.u32(1);
  let from = window.from;
  for (const gap of coveredBySegments(edit, window)) {
    if (gap.from > from) {
      constant(out, from);
      constant(out, 0);
      constant(out, gap.from - from);
      fill(out);
    }
    from = gap.to;
  }
  constant(out, from);
  constant(out, 0);
  out.byte(OP.localGet);
  out.u32(1);
  constant(out, from);
  out.byte(OP.sub);
  fill(out);
  out.byte(OP.end);
}

/** What segments write over anyway, in order, within the memory's first size. */
function coveredBySegments(edit: ModuleEdit, window: Window): Window[] {
  const first = Math.min(window.to, (edit.memories[0]?.min ?? 0) * PAGE_BYTES);
  return edit.data
    .filter(({ offset, content }) => offset !== null && content.end - content.start >= WORTH_A_GAP_BYTES)
    .map(({ offset, content }) => ({ from: offset ?? 0, to: (offset ?? 0) + content.end - content.start }))
    .filter(({ from, to }) => from >= window.from && to <= first)
    .toSorted((a, b) => a.from - b.from)
    .filter((each, i, list) => i === 0 || each.from >= Math.max(...list.slice(0, i).map(({ to }) => to)));
}

/** Bytes of the real memory; under 4 GiB, which {@link resetBlocker} sees to. */
function realSize(out: ByteWriter): void {
  out.byte(OP.memorySize);
  out.byte(0);
  constant(out, 16);
  out.byte(OP.shl);
}

function fill(out: ByteWriter): void {
  out.byte(OP.bulk);
  out.u32(MEMORY_FILL);
  out.byte(0);
}

/** Where a guest is taken to write; a wrong guess costs time, and nothing else. */
export interface WindowGuess {
  /** Stack that one request uses. @default 16 KiB */
  readonly stackBytes?: number;
  /** Memory that it gets beyond its first. @default 64 KiB */
  readonly grownBytes?: number;
}

const STACK_BYTES = 16 * 1024;
const WINDOW_ALIGNMENT = 16;

/**
 * The window that a guest most likely stays in: from `stackBytes` below its stack pointer (or from its first data, if
 * that comes first) to `grownBytes` past its first memory.
 */
export function guessWindow(edit: ModuleEdit, guess: WindowGuess = {}): Window {
  const { stackBytes = STACK_BYTES, grownBytes = PAGE_BYTES } = guess;
  const bytes = (edit.memories[0]?.min ?? 0) * PAGE_BYTES;
  const pointer = edit.globals
    .filter(({ mutable }) => mutable)
    .map((global) => constantOf(global))
    .find((value) => value !== null && value >= stackBytes && value <= bytes);
  const lowest = Math.min(bytes, ...edit.data.map(({ offset }) => offset ?? bytes));
  const from = pointer === undefined || pointer === null ? 0 : Math.min(pointer - stackBytes, lowest);
  return { from: Math.floor(from / WINDOW_ALIGNMENT) * WINDOW_ALIGNMENT, to: bytes + grownBytes };
}
