/** How V8 is to treat the process in which guests run. */
import { setFlagsFromString } from 'node:v8';

/**
 * V8 collects the whole heap for each 64 MiB of memory outside of it, and counts guests' memories there with their
 * whole size, a tenth of which is touched: 2,000 guests that came at once, of 1.1 MiB each, brought on 37 full
 * collections of all the instances that were there already, half of the CPU time. Weighed together with the heap, what
 * is outside may grow to a multiple of what was there after the last collection. That bounds nothing that needs to be:
 * guests' memories have caps of their own, past which the garbage is collected (`pool/thread-memory.ts`), and of new
 * buffers V8 collects each 64 MiB all the same, in its young generation.
 */
const WEIGHED = 'external-memory-accounted-in-global-limit';

const FLAGS: readonly string[] = [
  /**
   * V8 allocates objects of sites that it takes for long-lived in its old generation. While a thread starts, that is
   * everything; later each request's objects are garbage at once, but one of them in the old generation keeps all that
   * it refers to alive until the next full collection. Seen on a listener thread: 11 % of the young generation
   * survived each of its collections, against 0.5 % without (2026-11-27, 60,000 requests to a Rust hello).
   */
  '--no-allocation-site-pretenuring',
  /**
   * MiB of the young generation's half from the start; V8 begins with 1 and grows it by what survives, of which a
   * thread that serves has next to nothing: so it stays small, and is collected all the time. CPU time of a request to a
   * Rust hello, 16 connections, four runs of each in turn: 48 µs before, 42 with 8, 38 with 16; 15 MiB more are resident
   * (2026-11-27).
   */
  '--min-semi-space-size=16',
  `--${WEIGHED}`,
  '--external-memory-max-growing-factor=4',
];

/**
 * Heap and outside together V8 lets grow to twice the heap's own limit (`HEAP_MB` in `thread-group.ts`); near that it
 * would do nothing but collect. A thread with more guest memory than this goes back to collections by 64 MiB.
 */
const WEIGHED_BYTES = 1280 * 1024 * 1024;

let set = false;
let weighed = true;

/** To be called before threads that run guests are started: V8's flags are the whole process's. */
export function setV8Flags(): void {
  if (set) return;
  set = true;
  for (const flag of FLAGS) setFlagsFromString(flag);
}

/** Chooses how V8 counts guest memory. @param mostBytes what the thread that has most of it has */
export function weighGuestMemory(mostBytes: number): void {
  if (!set) return;
  const weigh = mostBytes < (weighed ? WEIGHED_BYTES : WEIGHED_BYTES / 2);
  if (weigh === weighed) return;
  weighed = weigh;
  setFlagsFromString(weigh ? `--${WEIGHED}` : `--no-${WEIGHED}`);
}
