/**
 * The write check: every instruction that writes memory compares its place with a fixed window, and sets a flag
 * where it lies outside. As long as the flag is not set, a reset need only clean the window. Which window is
 * chosen matters for speed alone. Nothing is exempt, not the stack either: leaf functions write below the stack
 * pointer without moving it.
 */
import { ByteReader } from './bytes.ts';
import { RewriteDeclined } from './declined.ts';
import { signed, VALUE_TYPE, type ModuleEdit } from './module-edit.ts';

/** Bytes `from` to `to` (exclusive) of a memory. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** The widest store, bytes: an access that begins this far before the window's end lies in it. */
const WIDEST_STORE = 16;

const OP = {
  if: 0x04, end: 0x0b, localGet: 0x20, localSet: 0x21, localTee: 0x22, globalSet: 0x24, i32Const: 0x41,
  gtU: 0x4b, geU: 0x4f, add: 0x6a, sub: 0x6b, or: 0x72, bulk: 0xfc, simd: 0xfd, atomic: 0xfe,
} as const; // prettier-ignore
const EMPTY = 0x40;
const BULK_WRITES: readonly number[] = [8, 10, 11];
const FIRST_ATOMIC_WRITE = 0x17;

/** Types of what the plain stores (0x36 to 0x3e) write. */
const STORED: readonly number[] = (
  ['i32', 'i64', 'f32', 'f64', 'i32', 'i32', 'i64', 'i64', 'i64'] as const
).map((name) => VALUE_TYPE[name]);

/** The type of the value that an instruction stores at an address; undefined where it does not. */
function storedType(opcode: number, sub: number): number | undefined {
  if (opcode === OP.simd) return sub === 11 || (sub >= 88 && sub <= 91) ? VALUE_TYPE.v128 : undefined;
  return opcode >= 0x36 && opcode <= 0x3e ? STORED[opcode - 0x36] : undefined;
}

/** Whether an instruction writes memory in any way. */
export function writesMemory(opcode: number, sub: number): boolean {
  return (
    storedType(opcode, sub) !== undefined ||
    (opcode === OP.bulk && BULK_WRITES.includes(sub)) ||
    (opcode === OP.atomic && sub >= FIRST_ATOMIC_WRITE)
  );
}

/**
 * Writes the check into every function, for a module with one memory, and gives the index of the global that is
 * the flag.
 * @throws RewriteDeclined at atomic instructions, which no module without threads needs.
 */
export function checkWrites(edit: ModuleEdit, window: Window): number {
  const flag = edit.addCounter(0);
  edit.mapBodies(({ out, bytes, copyTo, scratch }) => {
    let begin = 0;
    let stored: number | undefined;
    const constant = (value: number): void => {
      out.byte(OP.i32Const);
      signed(out, value);
    };
    const local = (op: number, index: number): void => {
      out.byte(op);
      out.u32(index);
    };
    const setFlag = (): void => {
      out.byte(OP.if);
      out.byte(EMPTY);
      constant(1);
      local(OP.globalSet, flag);
      out.byte(OP.end);
    };
    /** Behind the address: whether it plus `offset` lies outside of where a store may begin. */
    const outside = (offset: number): void => {
      constant((offset - window.from) | 0);
      out.byte(OP.add);
      constant((window.to - window.from - WIDEST_STORE) | 0);
      out.byte(OP.geU);
    };
    return {
      instruction: (at, opcode, sub) => {
        begin = at;
        stored = storedType(opcode, sub);
        if (opcode === OP.atomic && sub >= FIRST_ATOMIC_WRITE) {
          throw new RewriteDeclined('unknown-encoding', 'an atomic write', at);
        }
        if (opcode !== OP.bulk || !BULK_WRITES.includes(sub)) return;
        const [place, source, count] = [0, 1, 2].map((slot) => scratch(VALUE_TYPE.i32, slot)) as [
          number,
          number,
          number,
        ];
        copyTo(begin);
        local(OP.localSet, count);
        local(OP.localSet, source);
        local(OP.localTee, place);
        outside(0);
        local(OP.localGet, count);
        constant(window.to | 0);
        local(OP.localGet, place);
        out.byte(OP.sub);
        out.byte(OP.gtU);
        out.byte(OP.or);
        setFlag();
        for (const each of [place, source, count]) local(OP.localGet, each);
      },
      access: (_, end) => {
        if (stored === undefined) return;
        const offset = new ByteReader(bytes, end).u32();
        const place = scratch(VALUE_TYPE.i32, 0);
        const value = scratch(stored, stored === VALUE_TYPE.i32 ? 1 : 0);
        copyTo(begin);
        local(OP.localSet, value);
        local(OP.localTee, place);
        outside(offset);
        setFlag();
        local(OP.localGet, place);
        local(OP.localGet, value);
      },
    };
  });
  return flag;
}
