/** Linear memories that are kept to be used again, for instances whose modules import theirs. */

export interface MemoryShape {
  /** In 64 KiB pages. */
  readonly initialPages: number;
  readonly maximumPages: number;
}

const PAGE_BYTES = 65536;
const MAX_KEPT = 64;
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
/** To zero a memory costs more than a new one where it grew far beyond what it began with. */
const MAX_PAGES_EACH = 256;

/**
 * By their maximum: a memory that may grow further than its next function would break that one's limit. A memory
 * here is zero over all of its real size, which may be more than the next instance asks for: modules that import
 * their memory count its size themselves (`rewrite/virtual-memory.ts`).
 */
export class MemoryShelf {
  readonly #byMaximum = new Map<number, WebAssembly.Memory[]>();
  #kept = 0;
  #bytes = 0;

  get kept(): number {
    return this.#kept;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A memory that is all zero, of at least the initial size; undefined where none is kept. */
  take({ initialPages, maximumPages }: MemoryShape): WebAssembly.Memory | undefined {
    const kept = this.#byMaximum.get(maximumPages);
    if (!kept) return undefined;
    const at = kept.findLastIndex((memory) => memory.buffer.byteLength >= initialPages * PAGE_BYTES);
    const [memory] = at < 0 ? [] : kept.splice(at, 1);
    if (kept.length === 0) this.#byMaximum.delete(maximumPages);
    if (memory) this.#count(-1, memory);
    return memory;
  }

  /**
   * Zeroes a memory and keeps it; false where it is not worth keeping.
   *
   * @param mostlyZero its guest has written little since it was clean: pages of the system that it never touched stay
   * untouched, and cost nothing
   */
  put(memory: WebAssembly.Memory, maximumPages: number, mostlyZero = false): boolean {
    const { byteLength } = memory.buffer;
    if (byteLength > MAX_PAGES_EACH * PAGE_BYTES) return false;
    if (this.#kept >= MAX_KEPT || this.#bytes + byteLength > MAX_KEPT_BYTES) return false;
    if (mostlyZero) zeroWhatIsNot(memory);
    else zero(memory);
    const kept = this.#byMaximum.get(maximumPages);
    if (kept) kept.push(memory);
    else this.#byMaximum.set(maximumPages, [memory]);
    this.#count(1, memory);
    return true;
  }

  /** Gives everything up. */
  clear(): WebAssembly.Memory[] {
    const all = [...this.#byMaximum.values()].flat();
    this.#byMaximum.clear();
    this.#kept = 0;
    this.#bytes = 0;
    return all;
  }

  #count(change: 1 | -1, memory: WebAssembly.Memory): void {
    this.#kept += change;
    this.#bytes += change * memory.buffer.byteLength;
  }
}

const CHUNK_BYTES = 16_384;
const ZEROES = Buffer.alloc(CHUNK_BYTES);

/**
 * Reads all, which takes the system no memory, and writes only where something is. Slower than {@link zero} for a
 * memory that is all there; but zeroing one that is not brings every page of it in: while thousands of functions were
 * deployed, memories that had made room for the next function were each resident whole, half a GiB in all.
 */
function zeroWhatIsNot(memory: WebAssembly.Memory): void {
  const bytes = Buffer.from(memory.buffer);
  // A memory is whole pages of 64 KiB, and so whole chunks.
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
    if (bytes.compare(ZEROES, 0, CHUNK_BYTES, at, at + CHUNK_BYTES) !== 0)
      bytes.fill(0, at, at + CHUNK_BYTES);
}

/** Over its whole real size. */
export function zero(memory: WebAssembly.Memory): void {
  new Uint8Array(memory.buffer).fill(0);
}
