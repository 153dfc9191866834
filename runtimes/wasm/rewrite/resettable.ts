/** Decides which core modules can be reset in place, and writes the steps for that into them. */
import { RewriteDeclined } from './declined.ts';
import { FISSIUM_IMPORTS } from './interrupt.ts';
import { PAGE_BYTES } from './memory-limit.ts';
import { importableMemory, MEMORY_IMPORT, type WantedMemory } from './memory-import.ts';
import { ModuleEdit } from './module-edit.ts';
import { addReset, guessWindow, type WindowGuess } from './reset.ts';
import { addTableCopies, writtenTables } from './table-copies.ts';
import { IMPORT_KIND } from './types.ts';
import { virtualiseMemory } from './virtual-memory.ts';
import { checkWrites, writesMemory, type Window } from './write-check.ts';

/** Each can be left out: then more is zeroed, or the module is not resettable at all. */
export interface ResetSteps {
  /** @default true */
  readonly virtualMemory?: boolean;
  /** @default true */
  readonly writeCheck?: boolean;
  readonly window?: WindowGuess;
  /** @default true */
  readonly memoryImport?: boolean;
}

export interface Resettable {
  readonly wasm: Uint8Array;
  /** Whether it has state at all: then it exports the reset function. */
  readonly resets: boolean;
  /** What a reset cleans without being told more; null where the module has no memory, or no write check. */
  readonly window: Window | null;
  /** The memory that it imports from the host; null where it has none, or keeps its own. */
  readonly memory: WantedMemory | null;
}

const OP = { memorySize: 0x3f, memoryGrow: 0x40, gc: 0xfb, bulk: 0xfc } as const;
const BULK = { memoryInit: 8, dataDrop: 9 } as const;
/** A memory of 65,536 pages has one byte more than an i32 can count. */
const MAX_PAGES = 65535;

/**
 * The module with everything that a reset needs, or the reason why it cannot have it.
 * @throws RewriteDeclined where the module cannot be read.
 */
export function makeResettable(
  wasm: Uint8Array,
  steps: ResetSteps = {},
): Resettable | { readonly blocker: string } {
  const edit = new ModuleEdit(wasm);
  const use = survey(edit);
  const blocker = resetBlocker(edit, use, steps);
  if (blocker !== null) return { blocker };
  const [memory] = edit.memories;
  const written = writtenTables(edit);
  if (typeof written === 'string') return { blocker: written };
  const resets = memory !== undefined || written.size > 0 || edit.globals.some(({ mutable }) => mutable);
  if (!resets) return { wasm, resets, window: null, memory: null };
  try {
    let current = edit;
    const tables = written.size > 0 ? addTableCopies(wasm, written) : { wasm, copies: [] };
    if (typeof tables === 'string') return { blocker: tables };
    if (tables.wasm !== wasm) current = new ModuleEdit(tables.wasm);
    const virtual = memory && use.grows ? virtualiseMemory(current) : null;
    // Each step sees the module as the one before left it.
    if (virtual) current = new ModuleEdit(current.write());
    const window = memory && steps.writeCheck !== false ? guessWindow(current, steps.window) : null;
    const writes = window ? { flag: checkWrites(current, window), window } : null;
    if (writes) current = new ModuleEdit(current.write());
    addReset(current, { writes, virtual, tables: tables.copies });
    const wanted = steps.memoryImport === false ? null : importableMemory(current);
    if (wanted) current.importMemory(FISSIUM_IMPORTS, MEMORY_IMPORT);
    return { wasm: current.write(), resets, window, memory: wanted };
  } catch (error) {
    if (error instanceof RewriteDeclined && error.reason === 'unknown-encoding')
      return { blocker: error.message };
    throw error;
  }
}

interface Use {
  grows: boolean;
  /** Writes it, or asks for its size: only loads do neither. */
  touchesMemory: boolean;
  blocker: string | null;
}

/** What the code does that matters here. */
function survey(edit: ModuleEdit): Use {
  const use: Use = { grows: false, touchesMemory: false, blocker: null };
  edit.walk({
    instruction: (_, opcode, sub) => {
      if (opcode === OP.memoryGrow || opcode === OP.memorySize) use.grows = true;
      if (opcode === OP.memoryGrow || opcode === OP.memorySize || writesMemory(opcode, sub))
        use.touchesMemory = true;
      if (opcode === OP.bulk && sub === BULK.dataDrop) use.blocker ??= 'it drops data segments';
      if (opcode === OP.gc) use.blocker ??= 'it uses garbage-collected types';
      if (opcode === OP.bulk && sub === BULK.memoryInit && edit.data.some(({ active }) => active)) {
        use.blocker ??= 'it copies data segments itself';
      }
    },
  });
  return use;
}

function resetBlocker(edit: ModuleEdit, use: Use, steps: ResetSteps): string | null {
  const imported = edit.imports.filter(({ kind }) => kind === IMPORT_KIND.memory);
  if (use.blocker !== null) return use.blocker;
  if (edit.start !== null) return 'it has a start function';
  if (edit.memories.length + imported.length > 1) return 'it has more than one memory';
  if (imported.length > 0 && (use.touchesMemory || edit.data.length > 0))
    return "it writes or measures another module's memory";
  const [memory] = edit.memories;
  if (memory?.shared) return 'its memory is shared between threads';
  if (memory?.wide) return 'its memory has 64-bit addresses';
  if (memory && memory.min > MAX_PAGES - 1) return 'its memory is as large as memories can be';
  if (use.grows && steps.virtualMemory === false) return 'its memory grows';
  if (edit.data.some(({ active, offset }) => active && offset === null))
    return 'its data goes to places that are not constant';
  // An instance of it traps when it is made; in a larger memory, made for it or used again, it would not.
  const bytes = (memory?.min ?? 0) * PAGE_BYTES;
  if (
    edit.data.some(
      ({ offset, content }) => (offset ?? 0) + content.end - content.start > bytes && offset !== null,
    )
  )
    return 'its data does not fit its memory';
  return null;
}
