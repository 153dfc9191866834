import { Readable } from 'node:stream';
import { chunkPool, SLAB_BYTES, WORTH_BYTES } from './chunk-pool.ts';
import { BODY_WINDOW_BYTES } from './protocol.ts';

/**
 * A chunk takes a hundred bytes beside its own. Of those under this size only so many wait for a slow reader; what the
 * guest writes further is kept together until the reader has caught up.
 */
const SMALL_BYTES = 256;
const SMALL_CHUNKS = 512;

/** Bodies with bytes that are not handed over yet. */
let unsent: StreamedBody[] = [];

function sendLater(body: StreamedBody): void {
  if (unsent.length === 0) setImmediate(sendAll);
  unsent.push(body);
}

function sendAll(): void {
  const bodies = unsent;
  unsent = [];
  for (const body of bodies) body.flush();
}

/**
 * An answer's body that is longer, or slower, than what can be handed over at once. What a guest writes within one turn
 * of the event loop goes on together, in buffers of the thread's {@link chunkPool}.
 */
export class StreamedBody extends Readable {
  readonly #gone: () => void;
  #room: (() => void) | null = null;
  /** Whether the reader wants no more for now. */
  #full = false;
  /** Small chunks since nothing waited last. */
  #small = 0;
  #slab: Buffer | null = null;
  #used = 0;
  #waits = false;

  constructor(gone: () => void) {
    super({ highWaterMark: BODY_WINDOW_BYTES });
    this.#gone = gone;
    // Whoever reads the body hears of its failure; where nobody does, it must not end the process.
    this.on('error', () => undefined);
  }

  /**
   * Takes a copy of the chunk.
   * @returns a promise where the reader is to catch up first
   */
  add(chunk: Uint8Array): Promise<void> | undefined {
    if (this.destroyed) return undefined;
    for (let at = 0; at < chunk.byteLength;) {
      this.#slab ??= chunkPool.take();
      const room = SLAB_BYTES - this.#used;
      const part = at === 0 && chunk.byteLength <= room ? chunk : chunk.subarray(at, at + room);
      this.#slab.set(part, this.#used);
      this.#used += part.byteLength;
      at += part.byteLength;
      if (this.#used === SLAB_BYTES) this.flush();
    }
    if (this.#used > 0 && !this.#waits) {
      this.#waits = true;
      sendLater(this);
    }
    if (!this.#full) return undefined;
    return new Promise((resolve) => (this.#room = resolve));
  }

  /** Hands over what was written since the last time. */
  flush(): void {
    this.#waits = false;
    const slab = this.#slab;
    const used = this.#used;
    if (!slab || used === 0 || this.destroyed) return;
    this.#used = 0;
    if (this.readableLength === 0) this.#small = 0;
    if (used < SMALL_BYTES) this.#small += 1;
    let more: boolean;
    if (used >= WORTH_BYTES) {
      this.#slab = null;
      more = this.push(slab.subarray(0, used));
      // Smaller ones would keep a buffer each, however long their reader takes.
    } else more = this.push(Buffer.from(slab.subarray(0, used)));
    this.#full = !more || this.#small >= SMALL_CHUNKS;
  }

  /** Nothing more comes. */
  finish(): void {
    this.flush();
    this.#giveSlab();
    this.push(null);
  }

  override _read(): void {
    if (this.#small < SMALL_CHUNKS) this.#wake();
  }

  /** However the body is read, its chunks are taken here. */
  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    if (this.#small >= SMALL_CHUNKS && this.readableLength === 0) {
      this.#small = 0;
      this.#wake();
    }
    return chunk;
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#giveSlab();
    this.#wake();
    this.#gone();
    callback(error);
  }

  /** It was never handed over. */
  #giveSlab(): void {
    if (this.#slab) chunkPool.give(this.#slab);
    this.#slab = null;
    this.#used = 0;
  }

  #wake(): void {
    this.#full = false;
    const room = this.#room;
    this.#room = null;
    room?.();
  }
}
