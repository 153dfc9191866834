/**
 * Imports come first in every index space, so two imports more (a memory and a global) move the numbers of all
 * memories and globals that the module defines. This changes them wherever they stand.
 */
import { ByteReader, ByteWriter } from './bytes.ts';
import { RewriteDeclined } from './declined.ts';
import { walkExpression, type InstructionVisitor } from './instructions.ts';
import { SECTION, sectionOf, type Section } from './sections.ts';
import { IMPORT_KIND, readLimits, skipValueType } from './types.ts';

const MEMORY_INDEX_FOLLOWS = 0x40;
const TABLE_WITH_INITIALISER = 0x40;

/** Name subsections that are kept: module, functions, locals. The others may hold moved numbers and help nobody. */
const KEPT_NAMES: readonly number[] = [0, 1, 2];

export interface IndexSpaces {
  readonly importedMemories: number;
  /** All memories, imported and defined. */
  readonly memories: number;
  readonly importedGlobals: number;
}

/** Copies code from one place to another, changing numbers on the way. */
export interface Patch {
  readonly visitor: InstructionVisitor;
  /** Copies everything up to this position that has not been copied. */
  copyTo(position: number): void;
  /** What is copied next begins there: behind what was left out, or before what is copied once more. */
  moveTo(position: number): void;
  /** Writes another number for the one between the two positions. */
  replace(start: number, end: number, value: number): void;
}

export class Renumbering {
  readonly #spaces: IndexSpaces;
  /** The index of the memory that is added. */
  readonly control: number;
  /** The index of the global that is added. */
  readonly global: number;

  constructor(spaces: IndexSpaces) {
    this.#spaces = spaces;
    this.control = spaces.importedMemories;
    this.global = spaces.importedGlobals;
  }

  patch(
    bytes: Uint8Array,
    start: number,
    out: ByteWriter,
    on: Omit<InstructionVisitor, 'global' | 'memory' | 'access'> = {
      call: () => undefined,
      loop: () => undefined,
    },
  ): Patch {
    let copied = start;
    const copyTo = (position: number): void => {
      out.copy(bytes, copied, position);
      copied = position;
    };
    const replace = (from: number, to: number, value: number): void => {
      copyTo(from);
      out.u32(value);
      copied = to;
    };
    return {
      copyTo,
      moveTo: (position) => (copied = position),
      replace,
      visitor: {
        ...on,
        global: (from, to, index) => {
          if (index >= this.global) replace(from, to, index + 1);
        },
        memory: (from, to, index) => {
          const moved = this.#memory(index, from);
          if (moved !== index) replace(from, to, moved);
        },
        access: (from, to, alignment, index) => {
          const moved = this.#memory(index, from);
          if (moved === index) return;
          copyTo(from);
          this.writeAccess(out, alignment, moved);
          copied = to;
        },
      },
    };
  }

  /** The first half of a memory access's immediates; its offset follows. */
  writeAccess(out: ByteWriter, alignment: number, memory: number): void {
    if (memory === 0) {
      out.u32(alignment);
      return;
    }
    out.u32(alignment + MEMORY_INDEX_FOLLOWS);
    out.u32(memory);
  }

  /** The section with its numbers changed; sections without any come back as they are. */
  section(section: Section): Section {
    const rewrite = this.#rewriters[section.id];
    if (rewrite === undefined) return section;
    const reader = new ByteReader(section.bytes, section.start, section.end);
    const out = new ByteWriter(section.end - section.start + 256);
    const count = reader.u32();
    out.u32(count);
    for (let left = count; left > 0; left--) rewrite(reader, out);
    if (!reader.done) throw new RewriteDeclined('malformed', 'bytes behind the last item', reader.at);
    return sectionOf(section.id, out.view());
  }

  /** The name section without the names of what moved; unchanged where it cannot be read, since nothing depends on it. */
  names(section: Section): Section {
    const reader = new ByteReader(section.bytes, section.start, section.end);
    const out = new ByteWriter(section.end - section.start);
    try {
      while (!reader.done) {
        const start = reader.at;
        const id = reader.byte();
        reader.skip(reader.u32());
        if (KEPT_NAMES.includes(id)) out.copy(section.bytes, start, reader.at);
      }
    } catch {
      return section;
    }
    return { ...sectionOf(section.id, out.view()), name: 'name' };
  }

  readonly #rewriters: Readonly<Record<number, (reader: ByteReader, out: ByteWriter) => void>> = {
    [SECTION.table]: (reader, out) => {
      const start = reader.at;
      const initialised = reader.bytes[start] === TABLE_WITH_INITIALISER;
      if (initialised) reader.skip(2);
      skipValueType(reader);
      readLimits(reader);
      out.copy(reader.bytes, start, reader.at);
      if (initialised) this.#expression(reader, out);
    },
    [SECTION.global]: (reader, out) => {
      const start = reader.at;
      skipValueType(reader);
      reader.byte();
      out.copy(reader.bytes, start, reader.at);
      this.#expression(reader, out);
    },
    [SECTION.export]: (reader, out) => {
      const start = reader.at;
      reader.name();
      const kind = reader.byte();
      out.copy(reader.bytes, start, reader.at);
      const index = reader.u32();
      out.u32(this.#moved(kind, index, reader.at));
    },
    [SECTION.element]: (reader, out) => this.#element(reader, out),
    [SECTION.data]: (reader, out) => this.#data(reader, out),
  };

  #expression(reader: ByteReader, out: ByteWriter): void {
    const patch = this.patch(reader.bytes, reader.at, out);
    walkExpression(reader, patch.visitor);
    patch.copyTo(reader.at);
  }

  /** Flag bits: 0 not active, 1 with a table index (or declarative), 2 as expressions. */
  #element(reader: ByteReader, out: ByteWriter): void {
    const start = reader.at;
    const flags = reader.u32();
    if (flags > 7) throw new RewriteDeclined('unknown-encoding', `element segment ${flags}`, start);
    const active = (flags & 1) === 0;
    if (active && (flags & 2) !== 0) reader.skipLeb(32);
    out.copy(reader.bytes, start, reader.at);
    if (active) this.#expression(reader, out);
    const expressions = (flags & 4) !== 0;
    const listStart = reader.at;
    if ((flags & 3) !== 0) {
      if (expressions) skipValueType(reader);
      else reader.byte();
    }
    const count = reader.u32();
    if (expressions) {
      out.copy(reader.bytes, listStart, reader.at);
      for (let left = count; left > 0; left--) this.#expression(reader, out);
      return;
    }
    for (let left = count; left > 0; left--) reader.skipLeb(32);
    out.copy(reader.bytes, listStart, reader.at);
  }

  #data(reader: ByteReader, out: ByteWriter): void {
    const start = reader.at;
    const flags = reader.u32();
    if (flags > 2) throw new RewriteDeclined('unknown-encoding', `data segment ${flags}`, start);
    if (flags === 1) {
      out.u32(flags);
    } else {
      const memory = this.#memory(flags === 2 ? reader.u32() : 0, reader.at);
      out.u32(memory === 0 ? 0 : 2);
      if (memory !== 0) out.u32(memory);
      this.#expression(reader, out);
    }
    const bytesStart = reader.at;
    reader.skip(reader.u32());
    out.copy(reader.bytes, bytesStart, reader.at);
  }

  #moved(kind: number, index: number, at: number): number {
    if (kind === IMPORT_KIND.memory) return this.#memory(index, at);
    return kind === IMPORT_KIND.global && index >= this.global ? index + 1 : index;
  }

  /** An index that the module does not have must never come to mean the memory that is added. */
  #memory(index: number, at: number): number {
    if (index >= this.#spaces.memories)
      throw new RewriteDeclined('malformed', `there is no memory ${index}`, at);
    return index < this.control ? index : index + 1;
  }
}
