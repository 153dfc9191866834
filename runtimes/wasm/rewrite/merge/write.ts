/** Writes the merged module. */
import { ByteWriter } from '../bytes.ts';
import type { Range } from '../module-edit.ts';
import { SECTION, sectionOf, writeSections, type Section } from '../sections.ts';
import { IMPORT_KIND, type Limits } from '../types.ts';
import { CodeCopier } from './copy-code.ts';
import { FUNCREF, readerOf, type ElementSegment, type TypeBytes } from './core-module.ts';
import type { FunctionItem, LinkedPart } from './link.ts';
import type { Spaces } from './number.ts';

/** The module that the merged module's imports come from. */
export const HOST_MODULE = 'host';

export interface WrittenExport {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}

const DECLARATIVE = 3;
const WITH_INITIALISER = 0x40;
const FUNCTION_NAMES = 1;
const NO_LOCALS = 0;
const OP = { end: 0x0b, call: 0x10 } as const;

export class MergedWriter {
  readonly #parts: readonly LinkedPart[];
  readonly #spaces: Spaces;
  readonly #copiers: ReadonlyMap<LinkedPart, CodeCopier>;
  /** Functions of which code makes references: such must be declared. */
  readonly #referenced = new Set<number>();

  constructor(parts: readonly LinkedPart[], spaces: Spaces) {
    this.#parts = parts;
    this.#spaces = spaces;
    this.#copiers = new Map(parts.map((part) => [part, new CodeCopier(part, spaces, this.#referenced)]));
  }

  /**
   * @param starter functions that one more function calls in turn; it is the last
   */
  write(exports: readonly WrittenExport[], starter: readonly FunctionItem[]): Uint8Array {
    const { hosts, functions, tables, memory, tags, globals, types } = this.#spaces;
    const allTypes = [...types.keys()];
    const starterType = starter.length > 0 ? typeOfStarter(types, allTypes) : -1;
    const body = new ByteWriter(65_536);
    // First: it finds what the element section has to declare.
    const code = vector(SECTION.code, [
      ...functions.map((item) => (out: ByteWriter) => sized(out, this.#body(item, body))),
      ...(starter.length > 0 ? [(out: ByteWriter) => sized(out, starterBody(starter))] : []),
    ]);
    const functionTypes = [
      ...functions.map(({ type }) => types.get(type) ?? -1),
      ...(starter.length > 0 ? [starterType] : []),
    ];
    const sections = [
      vector(
        SECTION.type,
        allTypes.map((type) => (out) => bytesOf(out, type)),
      ),
      vector(
        SECTION.import,
        hosts.map((item, i) => (out) => {
          out.name(HOST_MODULE);
          out.name(importName(i));
          out.byte(IMPORT_KIND.function);
          out.u32(types.get(item.type) ?? -1);
        }),
      ),
      vector(
        SECTION.function,
        functionTypes.map((type) => (out) => out.u32(type)),
      ),
      vector(
        SECTION.table,
        tables.map(({ definition, part }) => (out) => {
          if (definition.initialiser) {
            out.byte(WITH_INITIALISER);
            out.byte(0);
          }
          bytesOf(out, definition.element);
          limits(out, definition.limits);
          if (definition.initialiser) this.#constant(out, part, definition.initialiser);
        }),
      ),
      vector(SECTION.memory, memory ? [(out) => limits(out, memory)] : []),
      vector(
        SECTION.tag,
        tags.map(({ type }) => (out) => {
          out.byte(0);
          out.u32(types.get(type) ?? -1);
        }),
      ),
      vector(
        SECTION.global,
        globals.map(({ definition, part }) => (out) => {
          bytesOf(out, definition.value);
          out.byte(definition.mutable ? 1 : 0);
          this.#constant(out, part, definition.initialiser);
        }),
      ),
      vector(
        SECTION.export,
        exports.map(({ name, kind, index }) => (out) => {
          out.name(name);
          out.byte(kind);
          out.u32(index);
        }),
      ),
      vector(SECTION.element, this.#elements()),
      this.#dataCount(),
      code,
      vector(SECTION.data, this.#data()),
    ].filter((section) => section !== null);
    return writeSections([...sections, ...this.#names()]);
  }

  #copier(part: LinkedPart): CodeCopier {
    const copier = this.#copiers.get(part);
    if (!copier) throw new TypeError('a part has no copier');
    return copier;
  }

  #constant(out: ByteWriter, part: LinkedPart, range: Range): void {
    this.#copier(part).expression(readerOf(range), out, true);
  }

  #body(item: FunctionItem, out: ByteWriter): ByteWriter {
    if (!item.body) throw new TypeError('a function has no body');
    const { range, part } = item.body;
    out.clear();
    this.#copier(part).body(readerOf(range), out);
    return out;
  }

  #elements(): ((out: ByteWriter) => void)[] {
    const written = this.#parts.flatMap((part) => {
      const numbers = this.#spaces.elements.get(part) ?? [];
      return part.module.elements
        .filter((_, i) => (numbers[i] ?? -1) >= 0)
        .map((segment) => (out: ByteWriter) => this.#element(out, part, segment));
    });
    const referenced = [...this.#referenced];
    if (referenced.length > 0) {
      written.push((out) => {
        out.u32(DECLARATIVE);
        out.byte(0);
        out.u32(referenced.length);
        for (const index of referenced) out.u32(index);
      });
    }
    return written;
  }

  /** Always with its table and type, in the forms that have both: flags 2 and 6, 1 and 5, 3 and 7. */
  #element(out: ByteWriter, part: LinkedPart, segment: ElementSegment): void {
    const copier = this.#copier(part);
    const expressions = segment.element !== FUNCREF || segment.items.some((item) => typeof item !== 'number');
    const mode = { active: 2, passive: 1, declarative: 3 }[segment.mode];
    out.u32(mode | (expressions ? 4 : 0));
    if (segment.offset) {
      out.u32(copier.table(segment.table));
      this.#constant(out, part, segment.offset);
    }
    if (expressions) bytesOf(out, segment.element);
    else out.byte(0);
    out.u32(segment.items.length);
    for (const item of segment.items) {
      if (typeof item === 'number') out.u32(copier.function(item));
      else this.#constant(out, part, item);
    }
  }

  #dataCount(): Section | null {
    if (![...this.#copiers.values()].some(({ namesData }) => namesData)) return null;
    const count = this.#parts.reduce((sum, { module }) => sum + module.data.length, 0);
    const out = new ByteWriter(16);
    out.u32(count);
    return sectionOf(SECTION.dataCount, out.view());
  }

  #data(): ((out: ByteWriter) => void)[] {
    return this.#parts.flatMap((part) =>
      part.module.data.map(({ offset, content }) => (out: ByteWriter) => {
        out.u32(offset ? 0 : 1);
        if (offset) this.#constant(out, part, offset);
        out.u32(content.end - content.start);
        out.copy(content.bytes, content.start, content.end);
      }),
    );
  }

  /** Functions' names, for the stack traces of guests that trap. */
  #names(): Section[] {
    const { hosts, functions } = this.#spaces;
    const named = [...hosts, ...functions].filter(({ name }) => name !== undefined);
    if (named.length === 0) return [];
    const map = new ByteWriter(4096);
    map.u32(named.length);
    for (const { index, name } of named) {
      map.u32(index);
      map.name(name ?? '');
    }
    const out = new ByteWriter(map.length + 16);
    out.byte(FUNCTION_NAMES);
    sized(out, map);
    return [{ ...sectionOf(SECTION.custom, out.view()), name: 'name' }];
  }
}

/** What the merged module imports its host function `index` as. */
export function importName(index: number): string {
  return String(index);
}

function vector(id: number, items: readonly ((out: ByteWriter) => void)[]): Section | null {
  if (items.length === 0) return null;
  const out = new ByteWriter(4096);
  out.u32(items.length);
  for (const write of items) write(out);
  return sectionOf(id, out.view());
}

function sized(out: ByteWriter, content: ByteWriter): void {
  out.u32(content.length);
  out.copy(content.view());
}

function bytesOf(out: ByteWriter, text: TypeBytes): void {
  for (let i = 0; i < text.length; i++) out.byte(text.charCodeAt(i));
}

function limits(out: ByteWriter, { min, max, shared, wide }: Limits): void {
  out.byte((max === undefined ? 0 : 1) | (shared ? 2 : 0) | (wide ? 4 : 0));
  out.u32(min);
  if (max !== undefined) out.u32(max);
}

/** `() -> ()`, which every start function has. */
function typeOfStarter(types: ReadonlyMap<TypeBytes, number>, all: TypeBytes[]): number {
  const type = '\x60\0\0';
  return types.get(type) ?? all.push(type) - 1;
}

function starterBody(starter: readonly FunctionItem[]): ByteWriter {
  const out = new ByteWriter(64);
  out.u32(NO_LOCALS);
  for (const { index } of starter) {
    out.byte(OP.call);
    out.u32(index);
  }
  out.byte(OP.end);
  return out;
}
