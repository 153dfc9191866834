/** What follows each opcode in a module's code (WebAssembly specification, Binary Format, Instructions). */

/** What follows an opcode. */
export const UNKNOWN = 0;
export const NOTHING = 1;
export const BLOCK = 2;
export const LOOP = 3;
export const END = 4;
export const INDEX = 5;
export const CALL = 6;
export const CALL_INDIRECT = 7;
export const ACCESS = 8;
export const GLOBAL = 9;
export const MEMORY = 10;
export const TWO_INDICES = 11;
export const BYTE = 12;
export const BYTES_4 = 13;
export const BYTES_8 = 14;
export const BYTES_16 = 15;
export const SIGNED_32 = 16;
export const SIGNED_64 = 17;
export const HEAP_TYPE = 18;
export const BR_TABLE = 19;
export const SELECT = 20;
export const TRY_TABLE = 21;
export const DELEGATE = 22;
export const ACCESS_AND_LANE = 23;
export const MEMORY_INIT = 24;
export const MEMORY_COPY = 25;
export const BR_ON_CAST = 26;
export const LABEL = 27;
export const CALL_REF = 28;
export const REF_FUNC = 29;
export const TABLE = 30;
export const TAG = 31;
export const DATA = 32;
export const ELEMENT = 33;
export const TABLE_INIT = 34;
export const TABLE_COPY = 35;

type Range = readonly [first: number, last: number, kind: number];

function table(size: number, ranges: readonly Range[]): Uint8Array {
  const kinds = new Uint8Array(size);
  for (const [first, last, kind] of ranges) kinds.fill(kind, first, last + 1);
  return kinds;
}

export const PLAIN = table(256, [
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

export const PREFIXED: ReadonlyMap<number, Uint8Array> = new Map([
  [0xfb, GC],
  [0xfc, BULK],
  [0xfd, SIMD],
  [0xfe, ATOMIC],
]);
