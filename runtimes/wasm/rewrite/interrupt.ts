/**
 * The interruption check: at the head of each loop, and in functions by which a guest could compute for long
 * without a loop (at their entry or before their calls, see `call-graph.ts`), a module looks at word 0 of a shared
 * memory. Another thread writes it when the guest that runs is to end, or to give way to its neighbours. Then the guest
 *
 * - traps where the word is the life that runs in this thread (word 1): by a trap executed in Wasm, which no
 *   `catch_all` of the guest's can catch, without a call that could fail;
 * - calls the imported `yield` for any other value, and traps where that answers 1. It may suspend the guest.
 *
 * A call inside of a hot loop would cost half of the loop's speed in spilled registers, so each loop stands in
 * another one, where the call is, and the check only branches out to it; and a function that is checked at its
 * entry leaves by a tail call to a stub, which calls and begins the function anew. In a loop that calls anyway the
 * slow call stands behind the loop instead: then entering it costs one check, not two. A short loop's body is
 * written twice for one check. The branch hints keep the compiler from weighing both ways alike. A loop that does
 * nothing but enter another one needs no check of its own. `bench/micro/checks.ts` measures all of it.
 *
 * The control memory comes behind the module's own imported one: V8 keeps where memory 0 begins in a register, and
 * loads it anew for every access to any other.
 *
 * The load is plain, not atomic (design.md has the cost of each); `interrupt.test.ts` shows on the Node that
 * runs it that both compilers leave it in the loop.
 */
import { BranchHints } from './branch-hints.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { planChecks, type CheckPlan } from './call-graph.ts';
import { RewriteDeclined } from './declined.ts';
import { functionBody, skipLocals, surveyFunctions, type FunctionSurvey } from './function-survey.ts';
import { growBody } from './grow-check.ts';
import { copyBody } from './interrupt-body.ts';
import { CheckCode } from './interrupt-code.ts';
import { countImports, findSection, readVector } from './layout.ts';
import { reachableFunctions } from './reachable.ts';
import { Renumbering } from './renumbering.ts';
import { insertSection, readSections, SECTION, sectionOf, writeSections, type Section } from './sections.ts';
import { IMPORT_KIND, readImport, readLimits, readParamCounts } from './types.ts';

/** What a rewritten module imports: {@link CONTROL_IMPORT} and {@link YIELD_IMPORT} from this module name. */
export const FISSIUM_IMPORTS = 'fissium';
/** A shared `WebAssembly.Memory` of one page, initial and maximum (see `control.ts`). */
export const CONTROL_IMPORT = 'control';
/** An exported Wasm function `() -> i32` (see `yield.worker.ts`). */
export const YIELD_IMPORT = 'yield';

/** Byte of the control memory that holds the life which runs now (see `control.ts`). */
const RUNNING_LIFE_OFFSET = 4;

const OP = {
  unreachable: 0x00, if: 0x04, end: 0x0b, call: 0x10, returnCall: 0x12, callRef: 0x14, localGet: 0x20, globalGet: 0x23,
  equal: 0x46,
} as const; // prettier-ignore
const EMPTY = 0x40;
const I32 = 0x7f;
const FUNCTION_TYPE = 0x60;
const REF = 0x64;
const IMMUTABLE = 0;
const SHARED_WITH_MAX = 3;

/** Custom sections that name places in the code, which move. */
const BOUND_TO_CODE = /^(\.debug_|reloc\.|linking$|metadata\.code\.|sourceMappingURL$|external_debug_info$)/;

/**
 * The module with the check written into it. Exports and the name section stay; debug information and hints
 * that point into the code are dropped. The given bytes must be a valid module.
 * @throws RewriteDeclined where the module has something that the rewriter does not know.
 */
export function addInterruptionCheck(wasm: Uint8Array): Uint8Array {
  const sections = readSections(wasm).filter(({ name }) => name === undefined || !BOUND_TO_CODE.test(name));
  return new Rewriting(sections).run();
}

class Rewriting {
  readonly #sections: Section[];
  readonly #numbering: Renumbering;
  readonly #importedFunctions: number;
  readonly #functionTypes: readonly number[];
  readonly #paramCounts: readonly number[];
  /** The functions whose entry is checked, and the stub that each leaves to. */
  readonly #stubs = new Map<number, number>();
  /** The function that ends or yields. */
  readonly #slow: number;
  readonly #hints = new BranchHints();
  readonly #check: CheckCode;
  readonly #survey: FunctionSurvey;
  readonly #plan: CheckPlan;
  /** Functions in the place of `memory.grow`, by the memory's number: see `grow-check.ts`. */
  readonly #grows = new Map<number, number>();
  /** Memories with 64-bit addresses, which grow unchecked. */
  readonly #wide: readonly boolean[];

  constructor(sections: Section[]) {
    this.#sections = sections;
    const imports = readVector(findSection(sections, SECTION.import), readImport);
    const importedMemories = countImports(imports, IMPORT_KIND.memory);
    const memories = readVector(findSection(sections, SECTION.memory), readLimits);
    this.#wide = [...imports.flatMap(({ memory }) => memory ?? []), ...memories].map(({ wide }) => wide);
    this.#numbering = new Renumbering({
      importedMemories,
      memories: importedMemories + memories.length,
      importedGlobals: countImports(imports, IMPORT_KIND.global),
    });
    this.#importedFunctions = countImports(imports, IMPORT_KIND.function);
    this.#functionTypes = readVector(findSection(sections, SECTION.function), (reader) => reader.u32());
    const types = findSection(sections, SECTION.type);
    this.#paramCounts = types ? readParamCounts(new ByteReader(types.bytes, types.start, types.end)) : [];
    this.#slow = this.#importedFunctions + this.#functionTypes.length;
    this.#check = new CheckCode(this.#numbering, this.#hints, this.#slow);
    const reachable = reachableFunctions(sections, this.#importedFunctions);
    this.#survey = surveyFunctions(findSection(sections, SECTION.code), this.#importedFunctions);
    this.#plan = planChecks(this.#survey.calls, reachable);
    for (const [index, place] of this.#plan.places.entries())
      if (place === 'entry') this.#stubs.set(index, this.#slow + 1 + this.#stubs.size);
    const firstGrow = this.#slow + 1 + this.#stubs.size;
    for (const memory of this.#survey.grown)
      if (this.#wide[memory] === false) this.#grows.set(memory, firstGrow + this.#grows.size);
  }

  run(): Uint8Array {
    const hasCode = this.#functionTypes.length > 0;
    const written = this.#sections.map((section) => this.#section(section));
    this.#addImports(written);
    this.#addTypes(written);
    if (hasCode) {
      this.#addFunctions(written);
      const at = written.findIndex(({ id }) => id === SECTION.code);
      written.splice(at, 0, this.#hints.section());
    }
    return writeSections(written);
  }

  #section(section: Section): Section {
    switch (section.id) {
      case SECTION.code:
        return this.#code(section);
      case SECTION.custom:
        return section.name === 'name' ? this.#numbering.names(section) : section;
      default:
        return this.#numbering.section(section);
    }
  }

  /** Index of the type of `yield`; the next is that of the function that calls it, the one behind it `memory.grow`'s. */
  get #yieldType(): number {
    return this.#paramCounts.length;
  }

  #code(section: Section): Section {
    const reader = new ByteReader(section.bytes, section.start, section.end);
    const out = new ByteWriter((section.end - section.start) * 1.5);
    const count = reader.u32();
    if (count !== this.#functionTypes.length)
      throw new RewriteDeclined('malformed', `${count} bodies`, reader.at);
    if (count === 0) return section;
    out.u32(count + 1 + this.#stubs.size + this.#grows.size);
    const body = new ByteWriter(4096);
    for (let index = 0; index < count; index++) {
      body.clear();
      this.#hints.begin(this.#importedFunctions + index);
      this.#function(functionBody(reader), body, index);
      out.u32(body.length);
      out.copy(body.view());
    }
    if (!reader.done) throw new RewriteDeclined('malformed', 'bytes behind the last function', reader.at);
    for (const added of [
      this.#slowBody(),
      ...[...this.#stubs.keys()].map((index) => this.#stubBody(index)),
      ...[...this.#grows.keys()].map((memory) => this.#growBody(memory)),
    ]) {
      out.u32(added.length);
      out.copy(added.view());
    }
    return sectionOf(SECTION.code, out.view());
  }

  #function(reader: ByteReader, out: ByteWriter, index: number): void {
    const start = reader.at;
    skipLocals(reader);
    const codeStart = reader.at;
    out.copy(reader.bytes, start, codeStart);
    const stub = this.#stubs.get(index);
    if (stub !== undefined) {
      this.#check.begin(out);
      this.#locals(out, index);
      out.byte(OP.returnCall);
      out.u32(stub);
      out.byte(OP.end);
    }
    copyBody(reader, out, {
      code: this.#check,
      numbering: this.#numbering,
      survey: this.#survey,
      takesParams: (type) => this.#hasParams(type),
      grows: this.#grows,
      needsCheck:
        this.#plan.places[index] === 'calls'
          ? (callee) => callee === null || this.#plan.tame[callee - this.#importedFunctions] !== true
          : null,
    });
    if (!reader.done) throw new RewriteDeclined('malformed', 'bytes behind a function', reader.at);
  }

  /** Whether a block type (its bytes are the whole reader) takes operands. */
  #hasParams(reader: ByteReader): boolean {
    const first = reader.bytes[reader.at] ?? EMPTY;
    // Nothing and value types are negative numbers of one byte; references in full begin with one as well.
    if (first >= 0x40 && first < 0x80) return false;
    return (this.#paramCounts[reader.u32()] ?? 1) > 0;
  }

  #locals(out: ByteWriter, index: number): void {
    const params = this.#paramCounts[this.#functionTypes[index] ?? -1];
    if (params === undefined) throw new RewriteDeclined('malformed', `function ${index} has no type`, -1);
    for (let i = 0; i < params; i++) {
      out.byte(OP.localGet);
      out.u32(i);
    }
  }

  #slowBody(): ByteWriter {
    const out = new ByteWriter(64);
    out.byte(0);
    this.#check.loadWord(out, 0);
    this.#check.loadWord(out, RUNNING_LIFE_OFFSET);
    for (const byte of [OP.equal, OP.if, EMPTY, OP.unreachable, OP.end, OP.globalGet]) out.byte(byte);
    out.u32(this.#numbering.global);
    out.byte(OP.callRef);
    out.u32(this.#yieldType);
    for (const byte of [OP.if, EMPTY, OP.unreachable, OP.end, OP.end]) out.byte(byte);
    return out;
  }

  /** Begins the function anew after the call. */
  #stubBody(index: number): ByteWriter {
    const out = new ByteWriter(32);
    out.byte(0);
    out.byte(OP.call);
    out.u32(this.#slow);
    this.#locals(out, index);
    out.byte(OP.returnCall);
    out.u32(this.#importedFunctions + index);
    out.byte(OP.end);
    return out;
  }

  #growBody(memory: number): ByteWriter {
    const out = new ByteWriter(64);
    const { control } = this.#numbering;
    growBody(
      out,
      memory < control ? memory : memory + 1,
      (code, alignment) => this.#numbering.writeAccess(code, alignment, control),
      (code) => {
        code.byte(OP.globalGet);
        code.u32(this.#numbering.global);
        code.byte(OP.callRef);
        code.u32(this.#yieldType);
      },
    );
    return out;
  }

  #addImports(sections: Section[]): void {
    const entries = new ByteWriter(64);
    entries.name(FISSIUM_IMPORTS);
    entries.name(CONTROL_IMPORT);
    entries.byte(IMPORT_KIND.memory);
    entries.byte(SHARED_WITH_MAX);
    entries.byte(1);
    entries.byte(1);
    entries.name(FISSIUM_IMPORTS);
    entries.name(YIELD_IMPORT);
    entries.byte(IMPORT_KIND.global);
    entries.byte(REF);
    entries.u32(this.#yieldType);
    // A heap type is signed: an index whose last byte would read as negative needs one byte more.
    const last = entries.length - 1;
    const view = entries.view();
    const byte = view[last] ?? 0;
    if ((byte & 0x40) !== 0) {
      view[last] = byte | 0x80;
      entries.byte(0);
    }
    entries.byte(IMMUTABLE);
    append(sections, SECTION.import, 2, entries.view());
  }

  #addTypes(sections: Section[]): void {
    const types = [FUNCTION_TYPE, 0, 1, I32, FUNCTION_TYPE, 0, 0, FUNCTION_TYPE, 1, I32, 1, I32];
    append(sections, SECTION.type, 3, Uint8Array.from(types));
  }

  #addFunctions(sections: Section[]): void {
    const entries = new ByteWriter(64);
    entries.u32(this.#yieldType + 1);
    for (const index of this.#stubs.keys()) entries.u32(this.#functionTypes[index] ?? 0);
    for (let left = this.#grows.size; left > 0; left--) entries.u32(this.#yieldType + 2);
    append(sections, SECTION.function, 1 + this.#stubs.size + this.#grows.size, entries.view());
  }
}

/** Adds items to the end of a section's vector. */
function append(sections: Section[], id: number, count: number, items: Uint8Array): void {
  const at = sections.findIndex((section) => section.id === id);
  const before = sections[at];
  const out = new ByteWriter((before ? before.end - before.start : 0) + items.length + 16);
  if (before === undefined) {
    out.u32(count);
    out.copy(items);
    insertSection(sections, sectionOf(id, out.view()));
    return;
  }
  const reader = new ByteReader(before.bytes, before.start, before.end);
  out.u32(reader.u32() + count);
  out.copy(before.bytes, reader.at, before.end);
  out.copy(items);
  sections[at] = sectionOf(id, out.view());
}
