/**
 * Memory import: the module's memory becomes one that the host makes, so that the host may bound it without
 * another module and use it again, and so that it stays memory 0, for which compilers make the better code. A
 * memory that is used again may be larger than the module's first size: sizes are virtual then.
 */
import { RewriteDeclined } from './declined.ts';
import { FISSIUM_IMPORTS } from './interrupt.ts';
import { PAGE_BYTES } from './memory-limit.ts';
import { ModuleEdit } from './module-edit.ts';
import { IMPORT_KIND } from './types.ts';
import { virtualiseMemory } from './virtual-memory.ts';

/** What such a module imports its memory as, from {@link FISSIUM_IMPORTS}. */
export const MEMORY_IMPORT = 'memory';

/** The memory that a module wants to be given, in pages of 64 KiB. */
export interface WantedMemory {
  readonly initialPages: number;
  /** The module's own maximum; null where it names none. */
  readonly maximumPages: number | null;
}

const OP = { memorySize: 0x3f, memoryGrow: 0x40 } as const;

/** What the module's memory would be as an import; null where it has to keep it: it has not exactly one, or a shared or a 64-bit one, or data that may not fit. */
export function importableMemory(edit: ModuleEdit): WantedMemory | null {
  const [memory, ...others] = edit.memories;
  if (!memory || others.length > 0 || edit.importCount(IMPORT_KIND.memory) > 0) return null;
  if (memory.shared || memory.wide) return null;
  // An instance whose data does not fit traps when it is made; in a larger memory it would not.
  const bytes = memory.min * PAGE_BYTES;
  const fits = edit.data.every(
    ({ active, offset, content }) =>
      !active || (offset !== null && offset + content.end - content.start <= bytes),
  );
  if (!fits) return null;
  return { initialPages: memory.min, maximumPages: memory.max ?? null };
}

/** Whether code in the module grows or measures a memory, its own or another module's. */
export function measuresMemory(edit: ModuleEdit): boolean {
  let found = false;
  edit.walk({
    instruction: (_, opcode) => {
      found ||= opcode === OP.memoryGrow || opcode === OP.memorySize;
    },
  });
  return found;
}

/**
 * The module with its memory imported and its size virtual, for one that is not reset; null where it keeps its
 * memory. Only where no other module grows or measures this memory: see {@link measuresForeignMemory}.
 */
export function importMemory(wasm: Uint8Array): { wasm: Uint8Array; memory: WantedMemory } | null {
  try {
    let edit = new ModuleEdit(wasm);
    const memory = importableMemory(edit);
    if (!memory) return null;
    if (measuresMemory(edit)) {
      virtualiseMemory(edit);
      edit = new ModuleEdit(edit.write());
    }
    edit.importMemory(FISSIUM_IMPORTS, MEMORY_IMPORT);
    return { wasm: edit.write(), memory };
  } catch (error) {
    if (error instanceof RewriteDeclined) return null;
    throw error;
  }
}

/** Whether the module grows or measures a memory that another one defines, or may do so: it would see the real size. */
export function measuresForeignMemory(wasm: Uint8Array): boolean {
  try {
    const edit = new ModuleEdit(wasm);
    return edit.importCount(IMPORT_KIND.memory) > 0 && measuresMemory(edit);
  } catch (error) {
    if (error instanceof RewriteDeclined) return true;
    throw error;
  }
}
