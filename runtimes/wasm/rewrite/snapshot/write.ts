/** Writes a module that begins with what its initialiser left. */
import { ByteReader, ByteWriter } from '../bytes.ts';
import { walkExpression } from '../instructions.ts';
import { findSection } from '../layout.ts';
import { signed, VALUE_TYPE } from '../module-edit.ts';
import { insertSection, readSections, SECTION, sectionOf, writeSections, type Section } from '../sections.ts';
import { IMPORT_KIND, readLimits, skipValueType } from '../types.ts';
import { SnapshotDeclined } from './declined.ts';
import type { Captured } from './thread.ts';

const OP = { i32Const: 0x41, i64Const: 0x42, f32Const: 0x43, f64Const: 0x44, end: 0x0b } as const;
const ACTIVE = 0;
const PASSIVE = 1;
const IGNORE = {
  loop: () => undefined,
  call: () => undefined,
  global: () => undefined,
  memory: () => undefined,
  access: () => undefined,
};

/**
 * @param called exports that are gone from the result
 * @throws SnapshotDeclined at a global whose value cannot be written down
 */
export function writeSnapshot(wasm: Uint8Array, captured: Captured, called: readonly string[]): Uint8Array {
  const sections = readSections(wasm)
    .filter(({ id }) => id !== SECTION.start)
    .map((section): Section => {
      switch (section.id) {
        case SECTION.memory:
          return memorySection(section, captured.pages);
        case SECTION.global:
          return globalSection(section, captured);
        case SECTION.export:
          return exportSection(section, called);
        default:
          return section;
      }
    });
  const isCounted = findSection(sections, SECTION.dataCount) !== undefined;
  replace(sections, dataSection(findSection(sections, SECTION.data), captured, isCounted));
  if (isCounted) {
    const data = findSection(sections, SECTION.data);
    const count = new ByteWriter(16);
    count.u32(data ? new ByteReader(data.bytes, data.start, data.end).u32() : 0);
    replace(sections, sectionOf(SECTION.dataCount, count.view()));
  }
  return writeSections(sections);
}

function replace(sections: Section[], section: Section | null): void {
  if (!section) return;
  const at = sections.findIndex(({ id }) => id === section.id);
  if (at < 0) insertSection(sections, section);
  else sections[at] = section;
}

function memorySection(section: Section, pages: number): Section {
  const reader = new ByteReader(section.bytes, section.start, section.end);
  const out = new ByteWriter(16);
  out.u32(reader.u32());
  const { max } = readLimits(reader);
  out.byte(max === undefined ? 0 : 1);
  out.u32(pages);
  if (max !== undefined) out.u32(max);
  return sectionOf(SECTION.memory, out.view());
}

function globalSection(section: Section, { globals }: Captured): Section {
  const reader = new ByteReader(section.bytes, section.start, section.end);
  const out = new ByteWriter(section.end - section.start + 64);
  const count = reader.u32();
  out.u32(count);
  for (let index = 0; index < count; index++) {
    const start = reader.at;
    const type = reader.bytes[start] ?? 0;
    skipValueType(reader);
    reader.byte();
    const typeEnd = reader.at;
    walkExpression(reader, IGNORE);
    const known = globals.find((item) => item.index === index);
    out.copy(reader.bytes, start, known ? typeEnd : reader.at);
    if (known) writeConstant(out, type, known.value);
  }
  return sectionOf(SECTION.global, out.view());
}

function writeConstant(out: ByteWriter, type: number, value: number | bigint): void {
  if (Number.isNaN(value))
    throw new SnapshotDeclined('a global is not a number, of which there are many kinds');
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  switch (type) {
    case VALUE_TYPE.i32:
      out.byte(OP.i32Const);
      signed(out, Number(value));
      break;
    case VALUE_TYPE.i64:
      out.byte(OP.i64Const);
      signed64(out, BigInt(value));
      break;
    case VALUE_TYPE.f32:
      out.byte(OP.f32Const);
      view.setFloat32(0, Number(value), true);
      out.copy(bytes, 0, 4);
      break;
    default:
      out.byte(OP.f64Const);
      view.setFloat64(0, Number(value), true);
      out.copy(bytes);
  }
  out.byte(OP.end);
}

function signed64(out: ByteWriter, value: bigint): void {
  let left = value;
  for (;;) {
    const byte = Number(left & 0x7fn);
    left >>= 7n;
    if ((left === 0n && byte < 0x40) || (left === -1n && byte >= 0x40)) {
      out.byte(byte);
      return;
    }
    out.byte(byte | 0x80);
  }
}

function exportSection(section: Section, called: readonly string[]): Section {
  const reader = new ByteReader(section.bytes, section.start, section.end);
  const kept: { start: number; end: number }[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    const start = reader.at;
    const name = reader.name();
    const isCalled = reader.byte() === IMPORT_KIND.function && called.includes(name);
    reader.u32();
    if (!isCalled) kept.push({ start, end: reader.at });
  }
  const out = new ByteWriter(section.end - section.start);
  out.u32(kept.length);
  for (const { start, end } of kept) out.copy(reader.bytes, start, end);
  return sectionOf(SECTION.export, out.view());
}

/**
 * Segments keep their numbers where code may name them: in modules that count them first (core spec 5.5.16). Those that were copied when the instance was made count as
 * dropped from then on, and so does a passive one without bytes: that is what becomes of them.
 */
function dataSection(
  section: Section | undefined,
  { runs, bytes }: Captured,
  isCounted: boolean,
): Section | null {
  if (!section && runs.length === 0) return null;
  const out = new ByteWriter(bytes.length + 1024);
  const reader = section ? new ByteReader(section.bytes, section.start, section.end) : null;
  const count = isCounted ? (reader?.u32() ?? 0) : 0;
  out.u32(count + runs.length);
  for (let left = count; reader && left > 0; left--) {
    const start = reader.at;
    const flags = reader.u32();
    if (flags === 2) reader.u32();
    if (flags !== PASSIVE) walkExpression(reader, IGNORE);
    reader.skip(reader.u32());
    if (flags === PASSIVE) out.copy(reader.bytes, start, reader.at);
    else {
      out.byte(PASSIVE);
      out.byte(0);
    }
  }
  let at = 0;
  for (const { offset, length } of runs) {
    out.byte(ACTIVE);
    out.byte(OP.i32Const);
    signed(out, offset | 0);
    out.byte(OP.end);
    out.u32(length);
    out.copy(bytes, at, at + length);
    at += length;
  }
  return sectionOf(SECTION.data, out.view());
}
