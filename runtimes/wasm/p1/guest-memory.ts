/** The guest's memory as the host functions see it. No view of it outlives one call: growing detaches them. */
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

export class GuestMemory {
  #memory: WebAssembly.Memory | null = null;

  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory;
  }

  /** The buffers that an `iovec` array names, as views. @throws Errno where any is out of bounds */
  parts(pointer: number, count: number): Uint8Array[] {
    if (count >>> 0 > MAX_PARTS) throw new Errno(ERRNO.inval);
    const table = this.view(pointer, count * 8);
    return Array.from({ length: count }, (_, index) => {
      const start = table.getUint32(index * 8, true);
      return this.bytes(start, table.getUint32(index * 8 + 4, true));
    });
  }

  bytes(pointer: number, length: number): Uint8Array {
    const { buffer } = this.#attached();
    const start = pointer >>> 0;
    if (start + length > buffer.byteLength) throw new Errno(ERRNO.fault);
    return new Uint8Array(buffer, start, length);
  }

  view(pointer: number, length: number): DataView {
    const { buffer, byteOffset } = this.bytes(pointer, length);
    return new DataView(buffer, byteOffset, length);
  }

  setU32(pointer: number, value: number): void {
    this.view(pointer, 4).setUint32(0, value, true);
  }

  #attached(): WebAssembly.Memory {
    // A start function can call before the instance exists; it has no memory that the host could reach.
    if (!this.#memory) throw new Errno(ERRNO.fault);
    return this.#memory;
  }
}
