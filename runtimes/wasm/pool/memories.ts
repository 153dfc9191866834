/** Linear memories for instances whose modules import theirs. */

export interface MemoryShape {
  /** In 64 KiB pages. */
  readonly initialPages: number;
  readonly maximumPages: number;
}

/** A memory that is all zero, of at least the initial size. */
export function takeMemory({ initialPages, maximumPages }: MemoryShape): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: initialPages, maximum: maximumPages });
}
