/**
 * What lifting and lowering need of one instance at run time: its memory, its allocator and the handles that
 * it holds. Everything is checked before it is used: a guest's pointers, lengths and handles are its own
 * business only as long as they hurt nobody else.
 */
import type { CallClock } from '../../pool/index.ts';
import { shortAscii } from '../../short-text.ts';
import { GuestTrap, Resource, type GuestState } from '../../wasi/index.ts';
import { TRANSFER_BYTES_CAP } from '../../wasi/limits.ts';

const FIRST_HANDLE = 1;
const KEPT_HANDLES = 64;

const utf8Strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf16Strict = new TextDecoder('utf-16le', { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

const scratch = new DataView(new ArrayBuffer(8));

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));

/** Stands for every resource of a request that has ended; it can be dropped. */
const ENDED: object = new Proxy(
  {},
  {
    get: (_, name) => {
      if (name === Symbol.dispose) return undefined;
      throw new GuestTrap('the function used a handle of an earlier request, which has ended');
    },
  },
);

export type Realloc = (oldPointer: number, oldSize: number, align: number, size: number) => number;

export class GuestStore {
  u8: Uint8Array = NO_BYTES;
  dv: DataView = NO_VIEW;
  memory: WebAssembly.Memory | null = null;
  /** Second results of `lowerString` and `lowerBytes`. */
  length = 0;
  /** False while the host calls into the guest on its own account (realloc): the guest may not call out then. */
  mayLeave = true;
  /** Guest memory that a reset makes clean; a write of the host's elsewhere sets `wroteOutside`. */
  resetFrom = 0;
  resetTo = Number.MAX_SAFE_INTEGER;
  wroteOutside = false;
  /** Why the host ended this guest, or null. */
  stopped: unknown = null;
  /** Measures the call that runs; null where nobody asked. */
  clock: CallClock | null = null;
  #transferLeft = TRANSFER_BYTES_CAP;
  /** Handles that the call under way borrows: they cannot be given away in the same call. */
  readonly #lent: number[] = [];
  /** Resource kinds of the handles by number; -1 where there is none. Kept from life to life, as the next two. */
  readonly #kinds: number[] = [];
  readonly #values: (object | null)[] = [];
  readonly #free: number[] = [];
  /** Handles are below this, in this life. */
  #end = FIRST_HANDLE;
  #freeCount = 0;

  /** Takes the views again where the memory has grown since. */
  refresh(): void {
    const { memory } = this;
    // A memory that grows detaches its old buffer. To ask for the buffer itself each time costs more.
    if (this.u8.byteLength === 0 && memory) {
      this.u8 = new Uint8Array(memory.buffer);
      this.dv = new DataView(memory.buffer);
    }
  }

  /** The memory is another one from now on, or none. */
  protected forgetViews(): void {
    this.u8 = NO_BYTES;
    this.dv = NO_VIEW;
  }

  trap(message: string): never {
    throw new GuestTrap(message);
  }

  /** Makes the guest trap at its next interruption check, whatever it catches; see {@link stop}. */
  protected kill(): void {
    // A store without instances behind it has nothing to end.
  }

  /** The guest waits for the host. */
  suspend(): void {
    // Instances keep account of it.
  }

  /** The guest goes on; called before anything of it runs. */
  resume(): void {
    // Instances keep account of it.
  }

  /**
   * For whatever a host function throws: a guest may catch exceptions, so its end is also written where only a
   * trap follows. Gives the error back, to be thrown.
   */
  stop(error: unknown): unknown {
    this.stopped ??= error ?? new GuestTrap('a host function failed');
    this.kill();
    return error;
  }

  /** First in each function that the guest calls. */
  enter(): void {
    if (this.stopped !== null) throw this.stop(this.stopped);
    if (!this.mayLeave)
      throw this.stop(new GuestTrap('the function called its host from within an allocation'));
    this.#transferLeft = TRANSFER_BYTES_CAP;
    this.refresh();
    if (this.clock !== null) this.clock.enterHost();
  }

  #transfer(bytes: number, what: string): void {
    this.#transferLeft -= bytes;
    if (this.#transferLeft < 0) this.trap(`${what} of ${bytes} bytes is more than one call may hand over`);
  }

  /** Like {@link check}, for a place that the host writes to. */
  checkWrite(pointer: number, bytes: number, align: number): number {
    const at = this.check(pointer, bytes, align);
    if (at < this.resetFrom || at + bytes > this.resetTo) this.wroteOutside = true;
    return at;
  }

  check(pointer: number, bytes: number, align: number): number {
    const at = pointer >>> 0;
    if ((at & (align - 1)) !== 0) this.trap(`pointer ${at} is not aligned to ${align}`);
    if (at + bytes > this.u8.byteLength) this.trap(`${bytes} bytes at ${at} lie outside of memory`);
    return at;
  }

  realloc(realloc: Realloc | null, align: number, bytes: number): number {
    if (bytes > TRANSFER_BYTES_CAP) this.trap(`a value of ${bytes} bytes is too large to hand over`);
    if (!realloc) this.trap('the function has no allocator for what it asks for');
    this.mayLeave = false;
    const pointer = realloc(0, 0, align, bytes);
    this.mayLeave = true;
    this.refresh();
    return this.checkWrite(pointer, bytes, align);
  }

  liftString(pointer: number, length: number): string {
    const bytes = length >>> 0;
    const at = this.check(pointer, bytes, 1);
    this.#transfer(bytes, 'a string');
    // The decoder's set-up costs more than most strings do.
    const short = shortAscii(this.u8, at, at + bytes);
    if (short !== null) return short;
    try {
      return utf8Strict.decode(this.u8.subarray(at, at + bytes));
    } catch {
      return this.trap('a string is not valid UTF-8');
    }
  }

  liftUtf16(pointer: number, units: number): string {
    const bytes = (units >>> 0) * 2;
    const at = this.check(pointer, bytes, 2);
    this.#transfer(bytes, 'a string');
    try {
      return utf16Strict.decode(this.u8.subarray(at, at + bytes));
    } catch {
      return this.trap('a string is not valid UTF-16');
    }
  }

  lowerString(text: string, realloc: Realloc | null): number {
    const bytes = utf8Encoder.encode(text);
    return this.lowerBytes(bytes, realloc);
  }

  lowerUtf16(source: string, realloc: Realloc | null): number {
    const text = source.toWellFormed();
    const pointer = this.realloc(realloc, 2, text.length * 2);
    for (let i = 0; i < text.length; i++) this.dv.setUint16(pointer + i * 2, text.charCodeAt(i), true);
    this.length = text.length;
    return pointer;
  }

  /** A copy: no view of guest memory outlives the host call that made it. */
  liftBytes(pointer: number, length: number): Uint8Array {
    const bytes = length >>> 0;
    const at = this.check(pointer, bytes, 1);
    this.#transfer(bytes, 'a list');
    return this.u8.slice(at, at + bytes);
  }

  /** No copy: for host functions that keep nothing of it when they return, or make a copy themselves. */
  viewBytes(pointer: number, length: number): Uint8Array {
    const bytes = length >>> 0;
    const at = this.check(pointer, bytes, 1);
    this.#transfer(bytes, 'a list');
    return this.u8.subarray(at, at + bytes);
  }

  lowerBytes(bytes: Uint8Array, realloc: Realloc | null): number {
    const pointer = this.realloc(realloc, 1, bytes.byteLength);
    this.u8.set(bytes, pointer);
    this.length = bytes.byteLength;
    return pointer;
  }

  /**
   * The place of a list's elements, checked before anything is allocated for them.
   * @param weight bytes that JavaScript spends on an element
   */
  listAt(pointer: number, length: number, size: number, align: number, weight: number): number {
    const count = length >>> 0;
    const at = this.check(pointer, count * size, align);
    this.#transfer(count * weight, 'a list');
    return at;
  }

  /** Items of a list that the host answers with. */
  itemCount(list: { readonly length: number } | undefined): number {
    const count = list?.length;
    return typeof count === 'number' ? count : this.trap('the host answered with something that is no list');
  }

  liftChar(code: number): string {
    const value = code >>> 0;
    if (value >= 0x11_0000 || (value >= 0xd800 && value <= 0xdfff)) this.trap(`${value} is not a character`);
    return String.fromCodePoint(value);
  }

  badCase(discriminant: number, what: string): never {
    return this.trap(`${discriminant} is not a case of ${what}`);
  }

  /** A case's number; the host never names one that does not exist. */
  caseNumber(numbers: ReadonlyMap<string, number>, name: string): number {
    return numbers.get(name) ?? this.trap(`the host answered with ${name}, which the interface has not`);
  }

  f32FromBits(bits: number): number {
    scratch.setInt32(0, bits);
    return scratch.getFloat32(0);
  }

  f64FromBits(bits: bigint): number {
    scratch.setBigInt64(0, bits);
    return scratch.getFloat64(0);
  }

  /** Gives the guest a handle. */
  add(resource: number, value: object): number {
    if (typeof value !== 'object' || value === null) this.trap('the host has no such resource');
    const index = this.#freeCount > 0 ? (this.#free[--this.#freeCount] ?? this.#end++) : this.#end++;
    this.#kinds[index] = resource;
    this.#values[index] = value;
    return index;
  }

  /** What a handle stands for, which the guest keeps. */
  borrow(resource: number, index: number): object {
    const value = this.#values[index];
    if (!value || this.#kinds[index] !== resource) this.trap(`${index} is not a handle of that kind`);
    return value;
  }

  /** Like {@link borrow}, in a call that also takes handles over. */
  lend(resource: number, index: number): object {
    const value = this.borrow(resource, index);
    this.#lent.push(index);
    return value;
  }

  /** After the arguments of a call that lends handles. */
  returnLent(): void {
    this.#lent.length = 0;
  }

  /** What a handle stands for, which the guest gives away. */
  remove(resource: number, index: number): object {
    const value = this.borrow(resource, index);
    if (this.#lent.length > 0 && this.#lent.includes(index))
      this.trap(`handle ${index} is lent to the same call`);
    this.#values[index] = null;
    this.#kinds[index] = -1;
    this.#free[this.#freeCount++] = index;
    return value;
  }

  /** Handles that the guest holds. */
  get liveHandles(): number {
    return this.#end - FIRST_HANDLE - this.#freeCount;
  }

  /** Lets what outlasts a request (the log's streams) work for this one. */
  protected adopt(state: GuestState): void {
    for (let i = FIRST_HANDLE; i < this.#end; i++) {
      const value = this.#values[i];
      if (value instanceof Resource && value.lasting) value.adopt(state);
    }
  }

  /**
   * Like {@link clear}, but keeps the handles' numbers, which the guest may still know. What they stand for has
   * ended with its request, whose client may not even have its answer yet: whoever uses it traps.
   */
  protected endLife(): void {
    for (let i = FIRST_HANDLE; i < this.#end; i++) {
      const value = this.#values[i];
      if (value && !(value instanceof Resource && value.lasting)) this.#values[i] = ENDED;
    }
    if (this.#lent.length > 0) this.#lent.length = 0;
    this.mayLeave = true;
    this.stopped = null;
  }

  /** Forgets every handle, for the next life of the instance. */
  clear(): void {
    // One life with many handles must not make all later ones hold their place.
    if (this.#end > KEPT_HANDLES) this.#kinds.length = this.#values.length = this.#free.length = 0;
    else this.#values.fill(null);
    this.#end = FIRST_HANDLE;
    this.#freeCount = 0;
    if (this.#lent.length > 0) this.#lent.length = 0;
    this.mayLeave = true;
    this.wroteOutside = false;
    this.stopped = null;
  }
}
