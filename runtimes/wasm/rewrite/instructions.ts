/**
 * Walks over instructions (core spec 5.4, with threads, exception handling old and new, tail calls, typed
 * references and GC) and reports the few that a rewriter changes. What is not known is declined: a wrong guess
 * of an immediate's length would make garbage that may even validate.
 */
import type { ByteReader } from './bytes.ts';
import { RewriteDeclined } from './declined.ts';
import { skipBlockType, skipValueType } from './types.ts';
import {
  ACCESS,
  ACCESS_AND_LANE,
  BLOCK,
  BR_ON_CAST,
  BR_TABLE,
  BYTE,
  BYTES_16,
  BYTES_4,
  BYTES_8,
  CALL,
  CALL_INDIRECT,
  CALL_REF,
  DATA,
  DELEGATE,
  ELEMENT,
  END,
  GLOBAL,
  HEAP_TYPE,
  INDEX,
  LABEL,
  LOOP,
  MEMORY,
  MEMORY_COPY,
  MEMORY_INIT,
  NOTHING,
  PLAIN,
  PREFIXED,
  REF_FUNC,
  SELECT,
  SIGNED_32,
  SIGNED_64,
  TABLE,
  TABLE_COPY,
  TABLE_INIT,
  TAG,
  TRY_TABLE,
  TWO_INDICES,
  UNKNOWN,
} from './opcodes.ts';

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
