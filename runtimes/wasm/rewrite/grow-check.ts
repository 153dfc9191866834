/**
 * The grow check: each `memory.grow` becomes a call of a function that first looks at how many pages this thread
 * may still take, a word of its control block. Where that is too few it writes down what it wants, calls `yield`, by
 * which the host may find more, and answers -1 if that did not help, as the instruction does where a memory cannot
 * grow. So all guests of a process together stay under its budget, and none of them has to hold its whole limit for
 * that. Only one guest of a thread runs at a time: the words are that guest's alone.
 *
 * The first word is kept as its difference from {@link NO_LIMIT}, so that a block of zeros limits nothing.
 */
import type { ByteWriter } from './bytes.ts';

export const MEMORY_GROW = 0x40;
/** Where the word lies in the control block, bytes. */
export const ROOM_OFFSET = 64;
/** Where a guest writes down how many pages it wants before it calls `yield`. */
export const WANTED_OFFSET = 68;
/** What is stored is the room XOR this, pages. */
export const NO_LIMIT = 0x7fffffff;

const OP = {
  unreachable: 0x00, if: 0x04, end: 0x0b, return: 0x0f, localGet: 0x20, localSet: 0x21, localTee: 0x22, i32Const: 0x41, equal: 0x46,
  greaterUnsigned: 0x4b, sub: 0x6b, xor: 0x73, load: 0x28, store: 0x36,
} as const; // prettier-ignore
const EMPTY = 0x40;
const I32 = 0x7f;
const WORD_ALIGNMENT = 2;
/** NO_LIMIT as signed LEB128. */
const NO_LIMIT_LEB = [0xff, 0xff, 0xff, 0xff, 0x07] as const;

/**
 * Writes the body of `(func (param $delta i32) (result i32))`, locals and all, without its length.
 * @param memory the memory that grows, by its number in the rewritten module
 * @param access writes alignment and memory of an access to the control block
 * @param callYield writes a call that leaves 0, or another number where the guest is to end
 */
export function growBody(
  out: ByteWriter,
  memory: number,
  access: (out: ByteWriter, alignment: number) => void,
  callYield: (out: ByteWriter) => void,
): void {
  const bytes = (...items: readonly number[]): void => items.forEach((item) => out.byte(item));
  const word = (op: number, offset: number): void => {
    out.byte(op);
    access(out, WORD_ALIGNMENT);
    out.u32(offset);
  };
  const readRoom = (): void => {
    bytes(OP.i32Const, 0);
    word(OP.load, ROOM_OFFSET);
    bytes(OP.i32Const, ...NO_LIMIT_LEB, OP.xor, OP.localSet, 1);
  };
  // Local 1: the room; local 2: the old size.
  bytes(1, 2, I32);
  readRoom();
  // if (delta > room) { wanted = delta; if (yield()) trap; if (delta > room) return -1 }
  bytes(OP.localGet, 0, OP.localGet, 1, OP.greaterUnsigned, OP.if, EMPTY);
  bytes(OP.i32Const, 0, OP.localGet, 0);
  word(OP.store, WANTED_OFFSET);
  callYield(out);
  bytes(OP.if, EMPTY, OP.unreachable, OP.end);
  readRoom();
  bytes(OP.localGet, 0, OP.localGet, 1, OP.greaterUnsigned, OP.if, EMPTY);
  bytes(OP.i32Const, 0x7f, OP.return, OP.end, OP.end);
  // if ((old = grow(delta)) == -1) return -1
  bytes(OP.localGet, 0, MEMORY_GROW);
  out.u32(memory);
  bytes(OP.localTee, 2, OP.i32Const, 0x7f, OP.equal, OP.if, EMPTY);
  bytes(OP.i32Const, 0x7f, OP.return, OP.end);
  // room -= delta
  bytes(OP.i32Const, 0, OP.localGet, 1, OP.localGet, 0, OP.sub, OP.i32Const, ...NO_LIMIT_LEB, OP.xor);
  word(OP.store, ROOM_OFFSET);
  bytes(OP.localGet, 2, OP.end);
}
