/** A core module as its list of sections (core spec 5.5.2). */
import { ByteReader, ByteWriter } from './bytes.ts';
import { RewriteDeclined } from './declined.ts';

export const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;

/** The order in which sections must stand; custom sections may stand anywhere. */
const ORDER: readonly number[] = [
  SECTION.type,
  SECTION.import,
  SECTION.function,
  SECTION.table,
  SECTION.memory,
  SECTION.tag,
  SECTION.global,
  SECTION.export,
  SECTION.start,
  SECTION.element,
  SECTION.dataCount,
  SECTION.code,
  SECTION.data,
];

const PREAMBLE_BYTES = 8;
const CORE_PREAMBLE: readonly number[] = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** One section: its payload is `bytes[start..end]`. For custom sections `name` is set and `start` is behind it. */
export interface Section {
  readonly id: number;
  readonly name?: string;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export function readSections(wasm: Uint8Array): Section[] {
  if (CORE_PREAMBLE.some((byte, at) => wasm[at] !== byte)) {
    throw new RewriteDeclined('malformed', 'no core module of version 1', 0);
  }
  const reader = new ByteReader(wasm, PREAMBLE_BYTES);
  const sections: Section[] = [];
  let last = -1;
  while (!reader.done) {
    const begin = reader.at;
    const id = reader.byte();
    const size = reader.u32();
    const start = reader.at;
    reader.skip(size);
    if (id === SECTION.custom) {
      const header = new ByteReader(wasm, start, reader.at);
      const name = header.name();
      sections.push({ id, name, bytes: wasm, start: header.at, end: reader.at });
      continue;
    }
    const place = ORDER.indexOf(id);
    if (place < 0) throw new RewriteDeclined('unknown-encoding', `section ${id} is not known`, begin);
    if (place <= last) throw new RewriteDeclined('malformed', `section ${id} is out of order`, begin);
    last = place;
    sections.push({ id, bytes: wasm, start, end: reader.at });
  }
  return sections;
}

/** A section with a payload of its own. */
export function sectionOf(id: number, payload: Uint8Array): Section {
  return { id, bytes: payload, start: 0, end: payload.length };
}

/** Adds a section at its place, before the first known section that must follow it. */
export function insertSection(sections: Section[], added: Section): void {
  const place = ORDER.indexOf(added.id);
  const at = sections.findIndex(
    (section) => section.id !== SECTION.custom && ORDER.indexOf(section.id) > place,
  );
  sections.splice(at < 0 ? sections.length : at, 0, added);
}

export function writeSections(sections: readonly Section[]): Uint8Array {
  let capacity = PREAMBLE_BYTES;
  for (const section of sections) capacity += section.end - section.start + 64;
  const writer = new ByteWriter(capacity);
  writer.copy(Uint8Array.from(CORE_PREAMBLE));
  for (const { id, name, bytes, start, end } of sections) {
    writer.byte(id);
    const head = new ByteWriter(64);
    if (name !== undefined) head.name(name);
    writer.u32(head.length + end - start);
    writer.copy(head.view());
    writer.copy(bytes, start, end);
  }
  return writer.view().slice();
}
