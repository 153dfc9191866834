/** Lowers the maximum of a module's memories, so that `memory.grow` fails at a function's memory limit. */
import { ByteWriter } from './bytes.ts';
import { findSection, readVector } from './layout.ts';
import { readSections, SECTION, sectionOf, writeSections } from './sections.ts';
import { readLimits } from './types.ts';

export const PAGE_BYTES = 65536;
/** What a memory with 32-bit addresses may have. */
const MAX_PAGES = 65536;

/**
 * The module with each memory that it defines bounded by `maxPages`; the same bytes where nothing changes.
 * Memories that it imports are bounded where they are made. Only the memory section is written again, so this
 * costs one copy of the module.
 * @throws RangeError where a memory begins larger than that: `grow` could never bound it.
 * @throws RewriteDeclined where the module cannot be read.
 */
export function limitMemory(wasm: Uint8Array, maxPages: number): Uint8Array {
  const sections = readSections(wasm);
  const section = findSection(sections, SECTION.memory);
  const memories = readVector(section, readLimits);
  if (section === undefined || memories.every(({ max }) => max !== undefined && max <= maxPages)) return wasm;
  const out = new ByteWriter();
  out.u32(memories.length);
  for (const { min, max, shared, wide } of memories) {
    if (min > maxPages) {
      throw new RangeError(`a memory begins with ${min} pages of 64 KiB, over the limit of ${maxPages}`);
    }
    out.byte(1 | (shared ? 2 : 0) | (wide ? 4 : 0));
    out.u32(min);
    out.u32(Math.min(max ?? maxPages, maxPages, wide ? Infinity : MAX_PAGES));
  }
  return writeSections(
    sections.map((entry) => (entry === section ? sectionOf(SECTION.memory, out.view()) : entry)),
  );
}
