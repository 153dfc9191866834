/** Arguments or environment as WASI preview 1 hands them over: NUL-terminated strings, and where each begins. */
import type { GuestMemory } from './guest-memory.ts';

const encoder = new TextEncoder();

export class StringTable {
  readonly #bytes: Uint8Array;
  readonly #starts: readonly number[];

  /**
   * Strings become UTF-8; what is not well-formed in them becomes U+FFFD. A NUL ends a string for its reader, so
   * callers leave out what holds one.
   */
  constructor(strings: readonly string[]) {
    this.#bytes = encoder.encode(strings.length === 0 ? '' : `${strings.join('\0')}\0`);
    const starts: number[] = [];
    for (let at = 0; starts.length < strings.length; at = this.#bytes.indexOf(0, at) + 1) starts.push(at);
    this.#starts = starts;
  }

  /** `args_sizes_get`, `environ_sizes_get`. */
  writeSizes(memory: GuestMemory, countPointer: number, bytesPointer: number): void {
    memory.setU32(countPointer, this.#starts.length);
    memory.setU32(bytesPointer, this.#bytes.length);
  }

  /** `args_get`, `environ_get`. */
  write(memory: GuestMemory, tablePointer: number, bytesPointer: number): void {
    memory.place(bytesPointer, this.#bytes.length).set(this.#bytes);
    const start = bytesPointer >>> 0;
    const table = memory.place(tablePointer, this.#starts.length * 4);
    const view = new DataView(table.buffer, table.byteOffset, table.length);
    for (const [i, at] of this.#starts.entries()) view.setUint32(i * 4, start + at, true);
  }
}
