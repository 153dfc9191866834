/**
 * Fewer, larger data segments: Go's linker leaves out runs of zeros and so writes one for each few words, thirty
 * thousand in all, and a reset copies each again.
 */
import { ByteReader, ByteWriter } from './bytes.ts';
import { findSection } from './layout.ts';
import { ModuleEdit, signed } from './module-edit.ts';
import { readSections, SECTION, sectionOf, writeSections } from './sections.ts';

/** Below this a module's segments are left as they are. */
const MANY = 64;
/** Zeros that are written between two segments rather than beginning a new one: about what one costs. */
const GAP_BYTES = 64;
const I32_CONST = 0x41;
const END = 0x0b;

interface Run {
  readonly offset: number;
  readonly content: Uint8Array;
}

/**
 * The module with neighbouring segments joined; the same module where it has few, or where that could mean
 * something else: passive segments, offsets that are not constant, segments that overlap, code that names them.
 * Memory before the first instruction is the same, byte for byte.
 * @throws RewriteDeclined where the module cannot be read
 */
export function coalesceData(wasm: Uint8Array): Uint8Array {
  const sections = readSections(wasm);
  const data = findSection(sections, SECTION.data);
  if (!data || new ByteReader(data.bytes, data.start, data.end).u32() < MANY) return wasm;
  // Code that names segments must stand behind a count of them (core spec 5.5.16).
  if (findSection(sections, SECTION.dataCount)) return wasm;
  const { data: segments, memories } = new ModuleEdit(wasm);
  if (memories.length !== 1) return wasm;
  const runs: Run[] = [];
  for (const { active, offset, content } of segments) {
    if (!active || offset === null) return wasm;
    runs.push({ offset, content: content.bytes.subarray(content.start, content.end) });
  }
  const joined = join(runs);
  if (!joined) return wasm;
  const out = new ByteWriter(data.end - data.start);
  out.u32(joined.length);
  for (const { offset, content } of joined) {
    out.byte(0);
    out.byte(I32_CONST);
    signed(out, offset);
    out.byte(END);
    out.u32(content.length);
    out.copy(content);
  }
  const replaced = sectionOf(SECTION.data, out.view().slice());
  return writeSections(sections.map((section) => (section === data ? replaced : section)));
}

/** Null where two of them overlap: then the later one counts, which joining would have to keep. */
function join(runs: readonly Run[]): Run[] | null {
  const sorted = runs.toSorted((a, b) => a.offset - b.offset);
  const joined: Run[] = [];
  let group: Run[] = [];
  let end = 0;
  const close = (): void => {
    const [first] = group;
    if (!first) return;
    const content = new Uint8Array(end - first.offset);
    for (const { offset, content: part } of group) content.set(part, offset - first.offset);
    joined.push({ offset: first.offset, content });
    group = [];
  };
  for (const run of sorted) {
    if (group.length > 0 && run.offset < end) return null;
    if (run.offset - end > GAP_BYTES) close();
    group.push(run);
    end = run.offset + run.content.length;
  }
  close();
  return joined;
}
