/**
 * Walks over instructions (core spec 5.4, with threads, exception handling old and new, tail calls, typed
 * references and GC) and reports the few that a rewriter changes. What is not known is declined: a wrong guess
 * of an immediate's length would make garbage that may even validate.
 */
import type { ByteReader } from './bytes.ts';
import { RewriteDeclined } from './declined.ts';
import { skipBlockType, skipValueType } from './types.ts';

/** Told about instructions as they are passed; positions are absolute in the reader's bytes. */
export interface InstructionVisitor {
  /** Before anything else is said about an instruction. `sub` is the number behind a prefix, 0 without one. */
  instruction?(at: number, opcode: number, sub: number): void;
  /** The body of a loop begins here. */
  loop(bodyStart: number): void;
  /** Any instruction that enters another function: its number, or null where only the callee's type is known. */
  call(callee: number | null): void;
  /** A block of any kind, a loop as well, begins behind its type; called before {@link loop}. */
  enter?(): void;
  /** The block that was entered last has ended, before this position. */
  leave?(end: number): void;
  /** A reference to a function is made. */
  reference?(index: number): void;
  /** A label between the two positions; it counts from the innermost block that is entered now. */
  label?(start: number, end: number, depth: number): void;
  /** A global index between the two positions. */
  global(start: number, end: number, index: number): void;
  /** A memory index as an immediate of its own, between the two positions. */
  memory(start: number, end: number, index: number): void;
  /** The alignment of a memory access, with the memory's index where one is encoded, between the positions. */
  access(start: number, end: number, alignment: number, index: number): void;
  /** A number of another index space between the two positions; for `blockType` it is signed LEB128 there. */
  index?(start: number, end: number, space: OtherSpace, index: number): void;
  /** A value or heap type between the two positions, in `select`, `ref.null` or, where it has more than one byte, a block's type. */
  type?(start: number, end: number): void;
}

/** Index spaces that most rewriters leave as they are. Indices of garbage-collected types are not told. */
export type OtherSpace = 'function' | 'type' | 'blockType' | 'table' | 'element' | 'data' | 'tag';

/** What follows an opcode. */
const UNKNOWN = 0;
const NOTHING = 1;
const BLOCK = 2;
const LOOP = 3;
const END = 4;
const INDEX = 5;
const CALL = 6;
const CALL_INDIRECT = 7;
const ACCESS = 8;
const GLOBAL = 9;
const MEMORY = 10;
const TWO_INDICES = 11;
const BYTE = 12;
const BYTES_4 = 13;
const BYTES_8 = 14;
const BYTES_16 = 15;
const SIGNED_32 = 16;
const SIGNED_64 = 17;
const HEAP_TYPE = 18;
const BR_TABLE = 19;
const SELECT = 20;
const TRY_TABLE = 21;
const DELEGATE = 22;
const ACCESS_AND_LANE = 23;
const MEMORY_INIT = 24;
const MEMORY_COPY = 25;
const BR_ON_CAST = 26;
const LABEL = 27;
const CALL_REF = 28;
const REF_FUNC = 29;
const TABLE = 30;
const TAG = 31;
const DATA = 32;
const ELEMENT = 33;
const TABLE_INIT = 34;
const TABLE_COPY = 35;

type Range = readonly [first: number, last: number, kind: number];

function table(size: number, ranges: readonly Range[]): Uint8Array {
  const kinds = new Uint8Array(size);
  for (const [first, last, kind] of ranges) kinds.fill(kind, first, last + 1);
  return kinds;
}

const PLAIN = table(256, [
  [0x00, 0x01, NOTHING], // unreachable, nop
  [0x02, 0x02, BLOCK],
  [0x03, 0x03, LOOP],
  [0x04, 0x04, BLOCK], // if
  [0x05, 0x05, NOTHING], // else
  [0x06, 0x06, BLOCK], // try (legacy)
  [0x07, 0x08, TAG], // catch (legacy), throw
  [0x09, 0x09, LABEL], // rethrow (legacy)
  [0x0a, 0x0a, NOTHING], // throw_ref
  [0x0b, 0x0b, END],
  [0x0c, 0x0d, LABEL], // br, br_if
  [0x0e, 0x0e, BR_TABLE],
  [0x0f, 0x0f, NOTHING], // return
  [0x10, 0x10, CALL],
  [0x11, 0x11, CALL_INDIRECT],
  [0x12, 0x12, CALL], // return_call
  [0x13, 0x13, CALL_INDIRECT], // return_call_indirect
  [0x14, 0x15, CALL_REF], // call_ref, return_call_ref
  [0x18, 0x18, DELEGATE], // legacy
  [0x19, 0x1b, NOTHING], // catch_all (legacy), drop, select
  [0x1c, 0x1c, SELECT],
  [0x1f, 0x1f, TRY_TABLE],
  [0x20, 0x22, INDEX], // local.*
  [0x23, 0x24, GLOBAL],
  [0x25, 0x26, TABLE], // table.get, table.set
  [0x28, 0x3e, ACCESS],
  [0x3f, 0x40, MEMORY], // memory.size, memory.grow
  [0x41, 0x41, SIGNED_32],
  [0x42, 0x42, SIGNED_64],
  [0x43, 0x43, BYTES_4],
  [0x44, 0x44, BYTES_8],
  [0x45, 0xc4, NOTHING], // numeric
  [0xd0, 0xd0, HEAP_TYPE], // ref.null
  [0xd1, 0xd1, NOTHING], // ref.is_null
  [0xd2, 0xd2, REF_FUNC],
  [0xd3, 0xd4, NOTHING], // ref.eq, ref.as_non_null
  [0xd5, 0xd6, LABEL], // br_on_null, br_on_non_null
]);

const GC = table(32, [
  [0, 1, INDEX], // struct.new*
  [2, 5, TWO_INDICES], // struct.get*, struct.set
  [6, 7, INDEX], // array.new, array.new_default
  [8, 10, TWO_INDICES], // array.new_fixed, array.new_data, array.new_elem
  [11, 14, INDEX], // array.get*, array.set
  [15, 15, NOTHING], // array.len
  [16, 16, INDEX], // array.fill
  [17, 19, TWO_INDICES], // array.copy, array.init_data, array.init_elem
  [20, 23, HEAP_TYPE], // ref.test*, ref.cast*
  [24, 25, BR_ON_CAST],
  [26, 30, NOTHING], // conversions, i31
]);

const BULK = table(32, [
  [0, 7, NOTHING], // saturating truncation
  [8, 8, MEMORY_INIT],
  [9, 9, DATA], // data.drop
  [10, 10, MEMORY_COPY],
  [11, 11, MEMORY], // memory.fill
  [12, 12, TABLE_INIT],
  [13, 13, ELEMENT], // elem.drop
  [14, 14, TABLE_COPY],
  [15, 17, TABLE], // table.grow, table.size, table.fill
  [19, 22, NOTHING], // 128-bit arithmetic
]);

const SIMD = table(0x114, [
  [0, 11, ACCESS],
  [12, 13, BYTES_16], // v128.const, i8x16.shuffle
  [14, 20, NOTHING],
  [21, 34, BYTE], // lanes
  [35, 83, NOTHING],
  [84, 91, ACCESS_AND_LANE],
  [92, 93, ACCESS],
  [94, 0x113, NOTHING], // up to the relaxed ones
]);

const ATOMIC = table(0x4f, [
  [0x00, 0x02, ACCESS], // notify, wait
  [0x03, 0x03, BYTE], // fence
  [0x10, 0x4e, ACCESS],
]);

const PREFIXED: ReadonlyMap<number, Uint8Array> = new Map([
  [0xfb, GC],
  [0xfc, BULK],
  [0xfd, SIMD],
  [0xfe, ATOMIC],
]);

const MEMORY_INDEX_FOLLOWS = 0x40;

/**
 * Walks one expression (a function's code behind its locals, or a constant expression) to the `end` that
 * closes it, and leaves the reader behind that.
 * @throws RewriteDeclined at an opcode that is not known, or where the bytes end inside the expression.
 */
export function walkExpression(reader: ByteReader, visitor: InstructionVisitor): void {
  let depth = 1;
  while (depth > 0) {
    const at = reader.at;
    const opcode = reader.byte();
    let kind = PLAIN[opcode] ?? UNKNOWN;
    let sub = 0;
    if (opcode >= 0xfb) {
      const kinds = PREFIXED.get(opcode);
      sub = reader.u32();
      kind = kinds?.[sub] ?? UNKNOWN;
    }
    visitor.instruction?.(at, opcode, sub);
    switch (kind) {
      case NOTHING:
        break;
      case BLOCK:
        walkBlockType(reader, visitor);
        depth++;
        visitor.enter?.();
        break;
      case LOOP:
        walkBlockType(reader, visitor);
        depth++;
        visitor.enter?.();
        visitor.loop(reader.at);
        break;
      case END:
        depth--;
        visitor.leave?.(reader.at);
        break;
      case LABEL:
        walkLabel(reader, visitor);
        break;
      case INDEX:
        reader.skipLeb(32);
        break;
      case CALL: {
        const start = reader.at;
        const callee = reader.u32();
        visitor.index?.(start, reader.at, 'function', callee);
        visitor.call(callee);
        break;
      }
      case ACCESS:
        walkAccess(reader, visitor);
        break;
      case GLOBAL:
        walkGlobal(reader, visitor);
        break;
      case SIGNED_32:
        reader.skipLeb(32);
        break;
      case SIGNED_64:
        reader.skipLeb(64);
        break;
      case DELEGATE:
        // Stands in place of the `end` of its `try`, and counts labels from outside of it.
        depth--;
        visitor.leave?.(at);
        walkLabel(reader, visitor);
        break;
      case TRY_TABLE:
        walkTryTable(reader, visitor);
        depth++;
        visitor.enter?.();
        break;
      case UNKNOWN:
        throw new RewriteDeclined('unknown-encoding', `instruction ${describe(reader, at)}`, at);
      default:
        walkRare(kind, reader, visitor);
    }
  }
}

function walkRare(kind: number, reader: ByteReader, visitor: InstructionVisitor): void {
  switch (kind) {
    case CALL_INDIRECT:
      walkIndex(reader, visitor, 'type');
      walkIndex(reader, visitor, 'table');
      visitor.call(null);
      break;
    case REF_FUNC: {
      // Not within the call: `?.` would leave the index unread.
      const index = walkIndex(reader, visitor, 'function');
      visitor.reference?.(index);
      break;
    }
    case CALL_REF:
      walkIndex(reader, visitor, 'type');
      visitor.call(null);
      break;
    case TABLE:
      walkIndex(reader, visitor, 'table');
      break;
    case TAG:
      walkIndex(reader, visitor, 'tag');
      break;
    case DATA:
      walkIndex(reader, visitor, 'data');
      break;
    case ELEMENT:
      walkIndex(reader, visitor, 'element');
      break;
    case TABLE_INIT:
      walkIndex(reader, visitor, 'element');
      walkIndex(reader, visitor, 'table');
      break;
    case TABLE_COPY:
      walkIndex(reader, visitor, 'table');
      walkIndex(reader, visitor, 'table');
      break;
    case MEMORY:
      walkMemory(reader, visitor);
      break;
    case TWO_INDICES:
      reader.skipLeb(32);
      reader.skipLeb(32);
      break;
    case BYTE:
      reader.skip(1);
      break;
    case BYTES_4:
      reader.skip(4);
      break;
    case BYTES_8:
      reader.skip(8);
      break;
    case BYTES_16:
      reader.skip(16);
      break;
    case HEAP_TYPE: {
      const start = reader.at;
      reader.skipLeb(33);
      visitor.type?.(start, reader.at);
      break;
    }
    case BR_TABLE:
      for (let left = reader.u32() + 1; left > 0; left--) walkLabel(reader, visitor);
      break;
    case SELECT:
      for (let left = reader.u32(); left > 0; left--) walkValueType(reader, visitor);
      break;
    case ACCESS_AND_LANE:
      walkAccess(reader, visitor);
      reader.skip(1);
      break;
    case MEMORY_INIT:
      walkIndex(reader, visitor, 'data');
      walkMemory(reader, visitor);
      break;
    case MEMORY_COPY:
      walkMemory(reader, visitor);
      walkMemory(reader, visitor);
      break;
    case BR_ON_CAST:
      reader.skip(1);
      walkLabel(reader, visitor);
      reader.skipLeb(33);
      reader.skipLeb(33);
      break;
    default:
      throw new RewriteDeclined('unknown-encoding', `immediates of kind ${kind}`, reader.at);
  }
}

function walkAccess(reader: ByteReader, visitor: InstructionVisitor): void {
  const start = reader.at;
  const flags = reader.u32();
  if (flags >= MEMORY_INDEX_FOLLOWS * 2)
    throw new RewriteDeclined('unknown-encoding', 'memory access', start);
  const index = flags >= MEMORY_INDEX_FOLLOWS ? reader.u32() : 0;
  visitor.access(start, reader.at, flags % MEMORY_INDEX_FOLLOWS, index);
  reader.skipLeb(64);
}

function walkMemory(reader: ByteReader, visitor: InstructionVisitor): void {
  const start = reader.at;
  const index = reader.u32();
  visitor.memory(start, reader.at, index);
}

function walkGlobal(reader: ByteReader, visitor: InstructionVisitor): void {
  const start = reader.at;
  const index = reader.u32();
  visitor.global(start, reader.at, index);
}

function walkIndex(reader: ByteReader, visitor: InstructionVisitor, space: OtherSpace): number {
  const start = reader.at;
  const index = reader.u32();
  visitor.index?.(start, reader.at, space, index);
  return index;
}

function walkValueType(reader: ByteReader, visitor: InstructionVisitor): void {
  const start = reader.at;
  skipValueType(reader);
  visitor.type?.(start, reader.at);
}

/** An index is told only to who asks: reading the number costs more than passing over it. */
function walkBlockType(reader: ByteReader, visitor: InstructionVisitor): void {
  const start = reader.at;
  skipBlockType(reader);
  if (!visitor.index) return;
  const first = reader.bytes[start] ?? 0;
  // One byte with bit 6 set is a negative number: no result, or a value type.
  if (first < 0x80 && (first & 0x40) !== 0) {
    if (reader.at > start + 1) visitor.type?.(start, reader.at);
  } else visitor.index(start, reader.at, 'blockType', unsignedLeb(reader.bytes, start));
}

/** The number that begins there, its extent known to be good and itself not to be negative. */
function unsignedLeb(bytes: Uint8Array, start: number): number {
  let value = 0;
  for (let at = start, scale = 1; ; at++, scale *= 128) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
}

function walkLabel(reader: ByteReader, visitor: InstructionVisitor): void {
  const start = reader.at;
  const depth = reader.u32();
  visitor.label?.(start, reader.at, depth);
}

const CATCH_ALL = 2;
const CATCH_ALL_REF = 3;

function walkTryTable(reader: ByteReader, visitor: InstructionVisitor): void {
  walkBlockType(reader, visitor);
  for (let left = reader.u32(); left > 0; left--) {
    const at = reader.at;
    const kind = reader.byte();
    if (kind > CATCH_ALL_REF) throw new RewriteDeclined('unknown-encoding', `catch clause ${kind}`, at);
    if (kind < CATCH_ALL) walkIndex(reader, visitor, 'tag');
    walkLabel(reader, visitor);
  }
}

function describe(reader: ByteReader, at: number): string {
  const bytes = reader.bytes.subarray(at, Math.min(at + 4, reader.end));
  return `0x${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}`;
}
