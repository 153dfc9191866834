/**
 * Virtual memory size: `memory.grow` and `memory.size` work on a counter, and the real memory grows only past
 * what is there. An instance that is reset then begins with its first size again without a new memory.
 *
 * Between the virtual and the real size nothing traps: a guest that reads there sees zeros, since a reset makes
 * all of the real memory clean, and what it writes there is caught by the write check like any other write.
 */
import { ByteWriter } from './bytes.ts';
import { signed, type ModuleEdit } from './module-edit.ts';

const OP = {
  if: 0x04, end: 0x0b, return: 0x0f, call: 0x10, localGet: 0x20, localSet: 0x21, globalGet: 0x23, globalSet: 0x24,
  memorySize: 0x3f, memoryGrow: 0x40, i32Const: 0x41, eq: 0x46, gtU: 0x4b, add: 0x6a, sub: 0x6b, or: 0x72,
} as const; // prettier-ignore
const EMPTY = 0x40;
/** One page less than a memory may have: its size in bytes must fit an i32. */
const MAX_PAGES = 65535;

/** The memory's virtual size. */
export interface VirtualMemory {
  /** Index of the global that holds it, pages. */
  readonly pages: number;
}

/** Writes the step into a module with one memory of its own. */
export function virtualiseMemory(edit: ModuleEdit): VirtualMemory {
  const memory = edit.memories[0];
  if (!memory || edit.memories.length !== 1) throw new TypeError('the module has not exactly one memory');
  const pages = edit.addCounter(memory.min);
  const grow = edit.addFunction({
    params: 1,
    results: 1,
    locals: 2,
    code: growCode(pages, Math.min(memory.max ?? MAX_PAGES, MAX_PAGES)),
  });
  edit.mapBodies(({ out, copyTo, skipTo }) => {
    let kind = 0;
    let begin = 0;
    return {
      instruction: (at, opcode) => {
        kind = opcode;
        begin = at;
      },
      memory: (_, end) => {
        if (kind !== OP.memorySize && kind !== OP.memoryGrow) return;
        copyTo(begin);
        out.byte(kind === OP.memorySize ? OP.globalGet : OP.call);
        out.u32(kind === OP.memorySize ? pages : grow);
        skipTo(end);
      },
    };
  });
  return { pages };
}

/** `grow(delta)`: the old size, or -1. Local 1 is the size that would be, local 2 what the memory lacks for it. */
function growCode(pages: number, max: number): Uint8Array {
  const out = new ByteWriter(128);
  const bytes = (...items: number[]): void => items.forEach((item) => out.byte(item));
  const global = (op: number): void => {
    out.byte(op);
    out.u32(pages);
  };
  const constant = (value: number): void => {
    out.byte(OP.i32Const);
    signed(out, value);
  };
  // if (delta > max - pages) return -1
  bytes(OP.localGet, 0);
  constant(max);
  global(OP.globalGet);
  bytes(OP.sub, OP.gtU, OP.if, EMPTY);
  constant(-1);
  bytes(OP.return, OP.end);
  // wanted = pages + delta; if (wanted > memory.size) grow by the rest, which may fail
  global(OP.globalGet);
  bytes(OP.localGet, 0, OP.add, OP.localSet, 1);
  bytes(OP.localGet, 1, OP.memorySize, 0, OP.gtU, OP.if, EMPTY);
  bytes(OP.localGet, 1, OP.memorySize, 0, OP.sub, OP.memoryGrow, 0);
  constant(-1);
  bytes(OP.eq, OP.if, EMPTY);
  constant(-1);
  bytes(OP.return, OP.end, OP.end);
  // old = pages; pages = wanted; return old
  global(OP.globalGet);
  bytes(OP.localGet, 1);
  global(OP.globalSet);
  return out.view().slice();
}
