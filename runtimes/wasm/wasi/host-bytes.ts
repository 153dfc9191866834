/**
 * Bytes of its own that a thread's host holds for its guests: handles, header fields, unsent bodies. They lie in
 * the heap that all requests of the thread share, so they are counted together, too. What an invocation holds up
 * to `HOST_BYTES_FREE` is not counted here: who is modest goes on, however much others hoard.
 */
import { HOST_BYTES_OF_A_THREAD_CAP } from './limits.ts';

export class HostBytes {
  readonly #capBytes: number;
  #takenBytes = 0;

  constructor(capBytes: number = HOST_BYTES_OF_A_THREAD_CAP) {
    this.#capBytes = capBytes;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** False where there is no room. */
  take(bytes: number): boolean {
    if (this.#takenBytes + bytes > this.#capBytes) return false;
    this.#takenBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#takenBytes -= bytes;
  }
}

/** This thread's. */
export const hostBytes = new HostBytes();
