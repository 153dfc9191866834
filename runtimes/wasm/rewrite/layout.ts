/** What a core module imports, exports and defines, as far as prepare and the rewriters ask. */
import { ByteReader } from './bytes.ts';
import { readSections, SECTION, type Section } from './sections.ts';
import { readImport, readLimits, type Import, type IMPORT_KIND, type Limits } from './types.ts';

export interface ModuleLayout {
  readonly imports: readonly Import[];
  readonly exports: readonly ModuleExport[];
  /** The memories that the module defines itself, imported ones not counted. */
  readonly memories: readonly Limits[];
}

export interface ModuleExport {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}

/** Reads the vector in a section, item by item. */
export function readVector<T>(section: Section | undefined, read: (reader: ByteReader) => T): T[] {
  if (section === undefined) return [];
  const reader = new ByteReader(section.bytes, section.start, section.end);
  const items: T[] = [];
  for (let left = reader.u32(); left > 0; left--) items.push(read(reader));
  return items;
}

export function findSection(sections: readonly Section[], id: number): Section | undefined {
  return sections.find((section) => section.id === id);
}

/** @throws RewriteDeclined where the module cannot be read. */
export function readLayout(wasm: Uint8Array): ModuleLayout {
  const sections = readSections(wasm);
  return {
    imports: readVector(findSection(sections, SECTION.import), readImport),
    memories: readVector(findSection(sections, SECTION.memory), readLimits),
    exports: readVector(findSection(sections, SECTION.export), (reader) => ({
      name: reader.name(),
      kind: reader.byte(),
      index: reader.u32(),
    })),
  };
}

export function countImports(
  imports: readonly Import[],
  kind: (typeof IMPORT_KIND)[keyof typeof IMPORT_KIND],
): number {
  return imports.filter((entry) => entry.kind === kind).length;
}
