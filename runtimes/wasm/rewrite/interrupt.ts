/**
 * The interruption check: at the head of each loop, and at the entry of each function that calls another, a
 * module compares the word at byte 0 of a shared memory with the life of the instance that runs, and traps
 * where they are the same. Another thread writes the word, so a guest that computes without end can be ended:
 * by a trap executed in Wasm, which no `catch_all` of the guest's can catch.
 *
 * A function without loops and calls ends by itself, and whoever reaches it without end passes a check, so it
 * goes unchecked. The load is plain, not atomic (design.md has the cost of each); `interrupt.test.ts` shows on
 * the Node that runs it that both compilers leave it in the loop.
 */
import { ByteReader, ByteWriter } from './bytes.ts';
import { RewriteDeclined } from './declined.ts';
import { walkExpression } from './instructions.ts';
import { countImports, findSection, readVector } from './layout.ts';
import { Renumbering } from './renumbering.ts';
import { insertSection, readSections, SECTION, sectionOf, writeSections, type Section } from './sections.ts';
import { IMPORT_KIND, readImport, readLimits, skipValueType } from './types.ts';

/** What a rewritten module imports: {@link CONTROL_IMPORT} and {@link LIFE_IMPORT} from this module name. */
export const FISSIUM_IMPORTS = 'fissium';
/** A shared `WebAssembly.Memory` of one page, initial and maximum. */
export const CONTROL_IMPORT = 'control';
/** An immutable i32 `WebAssembly.Global`, or a plain number: the instance's life, never 0. */
export const LIFE_IMPORT = 'life';

const FUNCTION_BODY = { i32Const: 0x41, load: 0x28, globalGet: 0x23, equal: 0x46, if: 0x04, empty: 0x40 };
const UNREACHABLE = 0x00;
const END = 0x0b;
const I32 = 0x7f;
const IMMUTABLE = 0;
const SHARED_WITH_MAX = 3;
const WORD_ALIGNMENT = 2;

export interface InterruptionOptions {
  /**
   * Where the check finds the life that runs: in the global that is given at instantiation, or in the control
   * memory's next word, which says who runs in this thread at the moment. An instance that serves one request
   * after another has a new life for each, so it takes the second.
   * @default 'global'
   */
  readonly life?: 'global' | 'control';
}

/** Byte of the control memory that holds the life which runs now (see `control.ts`). */
const RUNNING_LIFE_OFFSET = 4;

/** Custom sections that name places in the code, which move. */
const BOUND_TO_CODE = /^(\.debug_|reloc\.|linking$|metadata\.code\.|sourceMappingURL$|external_debug_info$)/;

/**
 * The module with the check written into it. Exports and the name section stay; debug information and hints
 * that point into the code are dropped. The given bytes must be a valid module.
 * @throws RewriteDeclined where the module has something that the rewriter does not know.
 */
export function addInterruptionCheck(wasm: Uint8Array, options: InterruptionOptions = {}): Uint8Array {
  const sections = readSections(wasm).filter(({ name }) => name === undefined || !BOUND_TO_CODE.test(name));
  const imports = readVector(findSection(sections, SECTION.import), readImport);
  const numbering = new Renumbering({
    importedMemories: countImports(imports, IMPORT_KIND.memory),
    memories:
      countImports(imports, IMPORT_KIND.memory) +
      readVector(findSection(sections, SECTION.memory), readLimits).length,
    importedGlobals: countImports(imports, IMPORT_KIND.global),
  });
  const check = checkBytes(numbering, options.life ?? 'global');
  const written = sections.map((section) => rewriteSection(section, numbering, check));
  addImports(written);
  return writeSections(written);
}

function checkBytes(numbering: Renumbering, life: 'global' | 'control'): Uint8Array {
  const out = new ByteWriter(32);
  out.byte(FUNCTION_BODY.i32Const);
  out.byte(0);
  out.byte(FUNCTION_BODY.load);
  numbering.writeAccess(out, WORD_ALIGNMENT, numbering.control);
  out.byte(0);
  if (life === 'global') {
    out.byte(FUNCTION_BODY.globalGet);
    out.u32(numbering.life);
  } else {
    out.byte(FUNCTION_BODY.i32Const);
    out.byte(0);
    out.byte(FUNCTION_BODY.load);
    numbering.writeAccess(out, WORD_ALIGNMENT, numbering.control);
    out.byte(RUNNING_LIFE_OFFSET);
  }
  out.byte(FUNCTION_BODY.equal);
  out.byte(FUNCTION_BODY.if);
  out.byte(FUNCTION_BODY.empty);
  out.byte(UNREACHABLE);
  out.byte(END);
  return out.view();
}

function rewriteSection(section: Section, numbering: Renumbering, check: Uint8Array): Section {
  switch (section.id) {
    case SECTION.code:
      return rewriteCode(section, numbering, check);
    case SECTION.custom:
      return section.name === 'name' ? numbering.names(section) : section;
    default:
      return numbering.section(section);
  }
}

function rewriteCode(section: Section, numbering: Renumbering, check: Uint8Array): Section {
  const reader = new ByteReader(section.bytes, section.start, section.end);
  const out = new ByteWriter((section.end - section.start) * 1.5);
  const count = reader.u32();
  out.u32(count);
  const body = new ByteWriter(4096);
  for (let left = count; left > 0; left--) {
    const size = reader.u32();
    const start = reader.at;
    reader.skip(size);
    body.clear();
    rewriteFunction(new ByteReader(section.bytes, start, reader.at), body, numbering, check);
    out.u32(body.length);
    out.copy(body.view());
  }
  if (!reader.done) throw new RewriteDeclined('malformed', 'bytes behind the last function', reader.at);
  return sectionOf(SECTION.code, out.view());
}

function rewriteFunction(
  reader: ByteReader,
  out: ByteWriter,
  numbering: Renumbering,
  check: Uint8Array,
): void {
  const start = reader.at;
  for (let left = reader.u32(); left > 0; left--) {
    reader.skipLeb(32);
    skipValueType(reader);
  }
  const codeStart = reader.at;
  out.copy(reader.bytes, start, codeStart);
  const entry = out.length;
  let calls = false;
  const patch = numbering.patch(reader.bytes, codeStart, out, {
    call: () => (calls = true),
    loop: (bodyStart) => {
      patch.copyTo(bodyStart);
      out.copy(check);
    },
  });
  walkExpression(reader, patch.visitor);
  if (!reader.done) throw new RewriteDeclined('malformed', 'bytes behind a function', reader.at);
  patch.copyTo(reader.end);
  if (calls) out.insert(entry, check);
}

function addImports(sections: Section[]): void {
  const entries = new ByteWriter(64);
  entries.name(FISSIUM_IMPORTS);
  entries.name(CONTROL_IMPORT);
  entries.byte(IMPORT_KIND.memory);
  entries.byte(SHARED_WITH_MAX);
  entries.byte(1);
  entries.byte(1);
  entries.name(FISSIUM_IMPORTS);
  entries.name(LIFE_IMPORT);
  entries.byte(IMPORT_KIND.global);
  entries.byte(I32);
  entries.byte(IMMUTABLE);

  const at = sections.findIndex((section) => section.id === SECTION.import);
  const before = sections[at];
  const payload = new ByteWriter(1024);
  if (before === undefined) {
    payload.u32(2);
    payload.copy(entries.view());
    insertSection(sections, sectionOf(SECTION.import, payload.view()));
    return;
  }
  const reader = new ByteReader(before.bytes, before.start, before.end);
  payload.u32(reader.u32() + 2);
  payload.copy(before.bytes, reader.at, before.end);
  payload.copy(entries.view());
  sections[at] = sectionOf(SECTION.import, payload.view());
}
