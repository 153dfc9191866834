/** A core module taken apart for changes that add at the end of its index spaces, so that no number moves. */
import { ByteReader, ByteWriter } from './bytes.ts';
import { RewriteDeclined } from './declined.ts';
import { walkExpression, type InstructionVisitor } from './instructions.ts';
import { countImports, findSection, readVector } from './layout.ts';
import { insertSection, readSections, SECTION, sectionOf, writeSections, type Section } from './sections.ts';
import { IMPORT_KIND, readImport, readLimits, skipValueType, type Import, type Limits } from './types.ts';

export const VALUE_TYPE = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
const FUNCTION_TYPE = 0x60;

/** Part of the module's bytes. */
export interface Range {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export interface GlobalDefinition {
  readonly type: number;
  readonly mutable: boolean;
  /** The initialiser without its `end`. */
  readonly initialiser: Range;
}

export interface DataSegment {
  /** Where an active segment goes, if that is a constant; null for passive ones. */
  readonly offset: number | null;
  readonly active: boolean;
  readonly content: Range;
}

/** A function's body while it is copied: what a rewriter inserts goes to `out`. */
export interface BodyEdit {
  readonly out: ByteWriter;
  readonly bytes: Uint8Array;
  /** Copies what has not been copied up to here. */
  readonly copyTo: (position: number) => void;
  /** Leaves out what follows, up to here. */
  readonly skipTo: (position: number) => void;
  /** A local of that type beyond the function's own; the same one each time that `slot` is the same. */
  readonly scratch: (type: number, slot: number) => number;
}

export type BodyVisitor = Pick<InstructionVisitor, 'instruction'> & Partial<InstructionVisitor>;

/** Custom sections that name places in the code. */
const BOUND_TO_CODE = /^(\.debug_|reloc\.|linking$|metadata\.code\.|sourceMappingURL$|external_debug_info$)/;
const IGNORE: InstructionVisitor = {
  loop: () => undefined,
  call: () => undefined,
  global: () => undefined,
  memory: () => undefined,
  access: () => undefined,
};

export class ModuleEdit {
  readonly imports: readonly Import[];
  readonly memories: readonly Limits[];
  readonly globals: readonly GlobalDefinition[];
  readonly data: readonly DataSegment[];
  readonly start: number | null;
  readonly exportNames: readonly string[];
  readonly #sections: Section[];
  readonly #typeCount: number;
  /** Parameters of each type; empty where a type is no function. */
  readonly #typeParams: readonly number[];
  readonly #functionTypes: readonly number[];
  readonly #added = {
    types: [] as Uint8Array[],
    functions: [] as Uint8Array[],
    globals: [] as Uint8Array[],
    exports: [] as Uint8Array[],
  };
  readonly #bodies: Uint8Array[] = [];

  /** @throws RewriteDeclined where the module cannot be read, or holds what is not known here. */
  constructor(wasm: Uint8Array) {
    this.#sections = readSections(wasm).filter(({ name }) => name === undefined || !BOUND_TO_CODE.test(name));
    const read = <T>(id: number, item: (reader: ByteReader) => T): T[] =>
      readVector(findSection(this.#sections, id), item);
    this.imports = read(SECTION.import, readImport);
    this.memories = read(SECTION.memory, readLimits);
    this.globals = read(SECTION.global, readGlobal);
    this.data = read(SECTION.data, readData);
    const start = findSection(this.#sections, SECTION.start);
    this.start = start ? new ByteReader(start.bytes, start.start, start.end).u32() : null;
    this.exportNames = read(SECTION.export, (reader) => {
      const name = reader.name();
      reader.byte();
      reader.u32();
      return name;
    });
    this.#typeParams = read(SECTION.type, readFunctionParams);
    this.#typeCount = this.#typeParams.length;
    this.#functionTypes = read(SECTION.function, (reader) => reader.u32());
  }

  importCount(kind: (typeof IMPORT_KIND)[keyof typeof IMPORT_KIND]): number {
    return countImports(this.imports, kind);
  }

  /** Tells about every instruction of every function. */
  walk(visitor: BodyVisitor): void {
    const section = findSection(this.#sections, SECTION.code);
    readVector(section, (reader) => {
      const size = reader.u32();
      const body = new ByteReader(reader.bytes, reader.at, reader.at + size);
      reader.skip(size);
      skipLocals(body);
      walkExpression(body, { ...IGNORE, ...visitor });
    });
  }

  /** Copies every function, with a visitor that may change it. */
  mapBodies(edit: (body: BodyEdit) => BodyVisitor): void {
    const section = findSection(this.#sections, SECTION.code);
    if (!section) return;
    const reader = new ByteReader(section.bytes, section.start, section.end);
    const count = reader.u32();
    const out = new ByteWriter((section.end - section.start) * 1.5);
    out.u32(count);
    for (let i = 0; i < count; i++) {
      const size = reader.u32();
      const start = reader.at;
      reader.skip(size);
      const params = this.#typeParams[this.#functionTypes[i] ?? -1];
      if (params === undefined) throw new RewriteDeclined('malformed', `function ${i} has no type`, start);
      const body = mapBody(new ByteReader(section.bytes, start, reader.at), params, edit);
      out.u32(body.length);
      out.copy(body);
    }
    this.#replace(sectionOf(SECTION.code, out.view()));
  }

  /** Adds a mutable i32 global and gives its index. */
  addCounter(initial: number): number {
    const out = new ByteWriter(16);
    out.byte(VALUE_TYPE.i32);
    out.byte(1);
    out.byte(0x41);
    signed(out, initial);
    out.byte(0x0b);
    this.#added.globals.push(out.view().slice());
    return this.importCount(IMPORT_KIND.global) + this.globals.length + this.#added.globals.length - 1;
  }

  /** Adds a function of i32 parameters and locals; `code` is without its `end`. Gives the function's index. */
  addFunction(options: { params: number; results: number; locals: number; code: Uint8Array }): number {
    const type = new ByteWriter(16);
    type.byte(FUNCTION_TYPE);
    for (const count of [options.params, options.results]) {
      type.u32(count);
      for (let i = 0; i < count; i++) type.byte(VALUE_TYPE.i32);
    }
    this.#added.types.push(type.view().slice());
    const index = new ByteWriter(16);
    index.u32(this.#typeCount + this.#added.types.length - 1);
    this.#added.functions.push(index.view().slice());
    const body = new ByteWriter(options.code.length + 16);
    body.u32(options.locals > 0 ? 1 : 0);
    if (options.locals > 0) {
      body.u32(options.locals);
      body.byte(VALUE_TYPE.i32);
    }
    body.copy(options.code);
    body.byte(0x0b);
    const sized = new ByteWriter(body.length + 8);
    sized.u32(body.length);
    sized.copy(body.view());
    this.#bodies.push(sized.view().slice());
    return this.nextFunction - 1;
  }

  /** The index that the next added function gets. */
  get nextFunction(): number {
    return this.importCount(IMPORT_KIND.function) + this.#functionTypes.length + this.#added.functions.length;
  }

  addExport(name: string, kind: number, index: number): void {
    if (this.exportNames.includes(name))
      throw new RewriteDeclined('unknown-encoding', `it exports ${name} itself`, -1);
    const out = new ByteWriter(64);
    out.name(name);
    out.byte(kind);
    out.u32(index);
    this.#added.exports.push(out.view().slice());
  }

  /**
   * Makes the module's only memory an imported one of the same number: all that names it stays as it is. The
   * import asks for the memory's first size, and sets no maximum: that is for who makes it.
   */
  importMemory(module: string, name: string): void {
    const [memory] = this.memories;
    if (!memory || this.memories.length !== 1 || this.importCount(IMPORT_KIND.memory) > 0) {
      throw new TypeError('the module has not exactly one memory of its own');
    }
    const out = new ByteWriter(64);
    out.name(module);
    out.name(name);
    out.byte(IMPORT_KIND.memory);
    out.byte(0);
    out.u32(memory.min);
    this.#append(SECTION.import, [out.view().slice()]);
    this.#sections.splice(
      this.#sections.findIndex(({ id }) => id === SECTION.memory),
      1,
    );
  }

  setStart(index: number): void {
    const out = new ByteWriter(16);
    out.u32(index);
    this.#replace(sectionOf(SECTION.start, out.view().slice()));
  }

  /** Makes all active segments passive: what copied them copies them no more. */
  makeDataPassive(): void {
    const out = new ByteWriter(1024);
    out.u32(this.data.length);
    for (const { content } of this.data) {
      out.u32(1);
      out.u32(content.end - content.start);
      out.copy(content.bytes, content.start, content.end);
    }
    this.#replace(sectionOf(SECTION.data, out.view().slice()));
    const count = new ByteWriter(16);
    count.u32(this.data.length);
    this.#replace(sectionOf(SECTION.dataCount, count.view().slice()));
  }

  write(): Uint8Array {
    const { types, functions, globals, exports } = this.#added;
    this.#append(SECTION.type, types);
    this.#append(SECTION.function, functions);
    this.#append(SECTION.global, globals);
    this.#append(SECTION.export, exports);
    this.#append(SECTION.code, this.#bodies);
    return writeSections(this.#sections);
  }

  #replace(section: Section): void {
    const at = this.#sections.findIndex(({ id }) => id === section.id);
    if (at < 0) insertSection(this.#sections, section);
    else this.#sections[at] = section;
  }

  #append(id: number, items: readonly Uint8Array[]): void {
    if (items.length === 0) return;
    const before = findSection(this.#sections, id);
    const out = new ByteWriter(1024);
    if (before) {
      const reader = new ByteReader(before.bytes, before.start, before.end);
      out.u32(reader.u32() + items.length);
      out.copy(before.bytes, reader.at, before.end);
    } else out.u32(items.length);
    for (const item of items) out.copy(item);
    this.#replace(sectionOf(id, out.view().slice()));
  }
}

/** An i32 or smaller constant's immediate, signed LEB128. */
export function signed(out: ByteWriter, value: number): void {
  let left = value | 0;
  for (;;) {
    const byte = left & 0x7f;
    left >>= 7;
    if ((left === 0 && (byte & 0x40) === 0) || (left === -1 && (byte & 0x40) !== 0)) {
      out.byte(byte);
      return;
    }
    out.byte(byte | 0x80);
  }
}

function mapBody(reader: ByteReader, params: number, edit: (body: BodyEdit) => BodyVisitor): Uint8Array {
  const localsStart = reader.at;
  const groups = reader.u32();
  const groupsStart = reader.at;
  let locals = params;
  for (let left = groups; left > 0; left--) {
    locals += reader.u32();
    skipValueType(reader);
  }
  const codeStart = reader.at;
  const out = new ByteWriter(reader.end - localsStart + 256);
  const scratches: { type: number; slot: number }[] = [];
  let copied = codeStart;
  const visitor = edit({
    out,
    bytes: reader.bytes,
    copyTo: (position) => {
      out.copy(reader.bytes, copied, position);
      copied = position;
    },
    skipTo: (position) => (copied = position),
    scratch: (type, slot) => {
      const known = scratches.findIndex((item) => item.type === type && item.slot === slot);
      return locals + (known >= 0 ? known : scratches.push({ type, slot }) - 1);
    },
  });
  walkExpression(reader, { ...IGNORE, ...visitor });
  if (!reader.done) throw new RewriteDeclined('malformed', 'bytes behind a function', reader.at);
  out.copy(reader.bytes, copied, reader.end);
  const body = new ByteWriter(out.length + 64);
  body.u32(groups + scratches.length);
  body.copy(reader.bytes, groupsStart, codeStart);
  for (const { type } of scratches) {
    body.u32(1);
    body.byte(type);
  }
  body.copy(out.view());
  return body.view();
}

function skipLocals(reader: ByteReader): void {
  for (let left = reader.u32(); left > 0; left--) {
    reader.skipLeb(32);
    skipValueType(reader);
  }
}

/** How many parameters; recursive groups and GC types are not taken. */
function readFunctionParams(reader: ByteReader): number {
  const at = reader.at;
  if (reader.byte() !== FUNCTION_TYPE)
    throw new RewriteDeclined('unknown-encoding', 'a type that is not a plain function', at);
  const params = reader.u32();
  for (let left = params; left > 0; left--) skipValueType(reader);
  for (let left = reader.u32(); left > 0; left--) skipValueType(reader);
  return params;
}

function readGlobal(reader: ByteReader): GlobalDefinition {
  const type = reader.bytes[reader.at] ?? 0;
  skipValueType(reader);
  const mutable = reader.byte() === 1;
  const start = reader.at;
  walkExpression(reader, IGNORE);
  return { type, mutable, initialiser: { bytes: reader.bytes, start, end: reader.at - 1 } };
}

function readData(reader: ByteReader): DataSegment {
  const at = reader.at;
  const flags = reader.u32();
  if (flags > 2) throw new RewriteDeclined('unknown-encoding', `data segment ${flags}`, at);
  if (flags === 2) reader.u32();
  let offset: number | null = null;
  if (flags !== 1) {
    const start = reader.at;
    walkExpression(reader, IGNORE);
    offset = constant(new ByteReader(reader.bytes, start, reader.at));
  }
  const size = reader.u32();
  const content = { bytes: reader.bytes, start: reader.at, end: reader.at + size };
  reader.skip(size);
  return { offset, active: flags !== 1, content };
}

/** The value of `i32.const`, unsigned; null for any other expression. */
function constant(reader: ByteReader): number | null {
  if (reader.byte() !== 0x41) return null;
  let value = 0;
  let shift = 0;
  for (;;) {
    const byte = reader.byte();
    value |= (byte & 0x7f) << shift;
    shift += 7;
    if (byte < 0x80) {
      if (shift < 32 && (byte & 0x40) !== 0) value |= -1 << shift;
      break;
    }
  }
  return reader.byte() === 0x0b && reader.done ? value >>> 0 : null;
}

/** The value of a global's initialiser where that is `i32.const`; else null. */
export function constantOf(global: GlobalDefinition): number | null {
  const { bytes, start, end } = global.initialiser;
  return constant(new ByteReader(bytes, start, end + 1));
}
