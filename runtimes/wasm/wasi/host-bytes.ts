/**
 * Bytes of its own that a thread's host holds for its guests: handles, header fields, unsent bodies. They lie in
 * the heap that all requests of the thread share, so they are counted together, too, and against the process's
 * memory for guests. What an invocation holds up to `HOST_BYTES_FREE` is not counted here: who is modest goes on,
 * however much others hoard.
 */
import type { Need } from '../pool/index.ts';
import { threadMemory } from '../pool/thread.ts';
import { HOST_BYTES_OF_A_THREAD_CAP } from './limits.ts';

const PAGE_BYTES = 65_536;

/** The process's memory for guests, as one thread sees it. */
interface Budget {
  take(need: Need): boolean;
  giveBack(need: Need): void;
}

export class HostBytes {
  readonly #budget: Budget;
  readonly #capBytes: number;
  #takenBytes = 0;

  constructor(budget: Budget, capBytes: number = HOST_BYTES_OF_A_THREAD_CAP) {
    this.#budget = budget;
    this.#capBytes = capBytes;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Whole pages of 64 KiB; false where there is no room. */
  take(bytes: number): boolean {
    if (this.#takenBytes + bytes > this.#capBytes) return false;
    if (!this.#budget.take({ memories: 0, pages: bytes / PAGE_BYTES })) return false;
    this.#takenBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    if (bytes === 0) return;
    this.#takenBytes -= bytes;
    this.#budget.giveBack({ memories: 0, pages: bytes / PAGE_BYTES });
  }
}

/** This thread's. */
export const hostBytes = new HostBytes(threadMemory);
