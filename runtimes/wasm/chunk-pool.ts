/**
 * The buffers in which a thread's answers go from guest memory to the kernel, used again. A new one for each chunk
 * costs little by itself, but its memory is outside of V8's heap: after some 64 MiB of it V8 collects the whole heap,
 * which for bodies of 1 MiB took 40 % of the CPU time, forgot compiled code and, in threads of its own, the other core.
 */

/** Bytes of each. Smaller ones would mean more writes to the socket, larger ones more memory for each slow client. */
export const SLAB_BYTES = 64 * 1024;
/** What fills less of a buffer than this is not worth one. */
export const WORTH_BYTES = SLAB_BYTES / 4;
/** Kept while nobody needs them: 4 MiB. */
const MAX_FREE = 64;

export class ChunkPool {
  readonly #free: Buffer[] = [];
  /** Which buffers are the pool's. */
  readonly #own = new WeakSet<ArrayBufferLike>();

  /** A buffer of {@link SLAB_BYTES} bytes, whatever is in them. */
  take(): Buffer {
    const kept = this.#free.pop();
    if (kept) return kept;
    const slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#own.add(slab.buffer);
    return slab;
  }

  /** A copy, in a buffer of the pool's where that is worth it. */
  copy(chunk: Uint8Array): Buffer {
    if (chunk.byteLength < WORTH_BYTES || chunk.byteLength > SLAB_BYTES) return Buffer.from(chunk);
    const slab = this.take();
    slab.set(chunk);
    return slab.subarray(0, chunk.byteLength);
  }

  /**
   * Nobody reads these bytes any more; to be said once for each buffer that was taken, if at all: what is not given
   * back is garbage like anything else. Of buffers that are not the pool's nothing happens.
   */
  give(chunk: Uint8Array): void {
    if (this.#free.length >= MAX_FREE || !this.#own.has(chunk.buffer)) return;
    this.#free.push(Buffer.from(chunk.buffer, 0, SLAB_BYTES));
  }
}

/** The thread's own. */
export const chunkPool = new ChunkPool();
