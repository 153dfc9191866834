/**
 * The guest's memory as the host functions see it. No view of it outlives one call: growing detaches them, and
 * while a guest waits it may be anybody's. What the host writes is held against the window that a reset cleans.
 */
import { FILE_PATH_BYTES_CAP } from '../wasi/limits.ts';
import { ERRNO } from './errno.ts';

/** Most parts that one read or write may name. */
const MAX_PARTS = 1024;

/** Thrown inside a host function; its number is what the guest gets. */
export class Errno extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`errno ${code}`);
    this.code = code;
  }
}

/** A range of addresses, `to` not included. */
export interface AddressRange {
  readonly from: number;
  readonly to: number;
}

export class GuestMemory {
  /** Set where the host wrote outside of the window: a reset must then clean all of the memory. */
  wroteOutside = false;
  readonly #window: AddressRange | null;
  #memory: WebAssembly.Memory | null = null;
  #u8 = new Uint8Array(0);
  #dv = new DataView(this.#u8.buffer);

  /** @param window what a reset cleans without being told; null where it cleans all, or nothing is reset */
  constructor(window: AddressRange | null = null) {
    this.#window = window;
  }

  get byteLength(): number {
    return this.#memory?.buffer.byteLength ?? 0;
  }

  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory;
    this.refresh();
  }

  /** Nothing reaches the memory through this any more. */
  detach(): void {
    this.#memory = null;
    this.#u8 = new Uint8Array(0);
    this.#dv = new DataView(this.#u8.buffer);
  }

  /** First in each host function, and again after each wait. */
  refresh(): void {
    // A memory that grows detaches its old buffer. To ask for the buffer itself each time costs more.
    if (this.#u8.byteLength > 0 || !this.#memory) return;
    this.#u8 = new Uint8Array(this.#memory.buffer);
    this.#dv = new DataView(this.#memory.buffer);
  }

  /** A view of what the guest wrote. @throws Errno where it is out of bounds */
  read(pointer: number, length: number): Uint8Array {
    const at = this.#check(pointer, length);
    return this.#u8.subarray(at, at + (length >>> 0));
  }

  /** A view to write to. @throws Errno where it is out of bounds */
  place(pointer: number, length: number): Uint8Array {
    const at = this.#checkWrite(pointer, length);
    return this.#u8.subarray(at, at + (length >>> 0));
  }

  /** The buffers that a `ciovec` array names. @throws Errno where any is out of bounds */
  readParts(pointer: number, count: number): Uint8Array[] {
    return this.#parts(pointer, count, (at, length) => this.read(at, length));
  }

  /** The buffers that an `iovec` array names, to write to. @throws Errno where any is out of bounds */
  placeParts(pointer: number, count: number): Uint8Array[] {
    return this.#parts(pointer, count, (at, length) => this.place(at, length));
  }

  /** A path of the guest's. @throws Errno where it is too long, out of bounds or not UTF-8 */
  path(pointer: number, length: number): string {
    if (length >>> 0 > FILE_PATH_BYTES_CAP) throw new Errno(ERRNO.nametoolong);
    const bytes = this.read(pointer, length);
    try {
      return utf8.decode(bytes);
    } catch {
      throw new Errno(ERRNO.ilseq);
    }
  }

  getU8(pointer: number): number {
    return this.#dv.getUint8(this.#check(pointer, 1));
  }

  getU16(pointer: number): number {
    return this.#dv.getUint16(this.#check(pointer, 2), true);
  }

  getU32(pointer: number): number {
    return this.#dv.getUint32(this.#check(pointer, 4), true);
  }

  getU64(pointer: number): bigint {
    return this.#dv.getBigUint64(this.#check(pointer, 8), true);
  }

  setU8(pointer: number, value: number): void {
    this.#dv.setUint8(this.#checkWrite(pointer, 1), value);
  }

  setU16(pointer: number, value: number): void {
    this.#dv.setUint16(this.#checkWrite(pointer, 2), value, true);
  }

  setU32(pointer: number, value: number): void {
    this.#dv.setUint32(this.#checkWrite(pointer, 4), value, true);
  }

  setU64(pointer: number, value: bigint): void {
    this.#dv.setBigUint64(this.#checkWrite(pointer, 8), value, true);
  }

  #parts(
    pointer: number,
    count: number,
    view: (pointer: number, length: number) => Uint8Array,
  ): Uint8Array[] {
    if (count >>> 0 > MAX_PARTS) throw new Errno(ERRNO.inval);
    const table = this.#check(pointer, count * 8);
    const parts: Uint8Array[] = [];
    for (let at = table; at < table + count * 8; at += 8) {
      parts.push(view(this.#dv.getUint32(at, true), this.#dv.getUint32(at + 4, true)));
    }
    return parts;
  }

  #check(pointer: number, length: number): number {
    const at = pointer >>> 0;
    // A start function can call before the instance exists; it has no memory that the host could reach.
    if (at + (length >>> 0) > this.#u8.byteLength) throw new Errno(ERRNO.fault);
    return at;
  }

  #checkWrite(pointer: number, length: number): number {
    const at = this.#check(pointer, length);
    if (this.#window && (at < this.#window.from || at + (length >>> 0) > this.#window.to))
      this.wroteOutside = true;
    return at;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
