/** How V8 is to treat the process in which guests run. */
import { setFlagsFromString } from 'node:v8';

/**
 * V8 allocates objects of sites that it takes for long-lived in its old generation. While a thread starts, that is
 * everything; later each request's objects are garbage at once, but one of them in the old generation keeps all that
 * it refers to alive until the next full collection. Seen on a listener thread: 11 % of the young generation
 * survived each of its collections, against 0.5 % without (2026-11-27, 60,000 requests to a Rust hello).
 */
const NO_PRETENURING = '--no-allocation-site-pretenuring';

let set = false;

/** To be called before threads that run guests are started: V8's flags are the whole process's. */
export function setV8Flags(): void {
  if (set) return;
  set = true;
  setFlagsFromString(NO_PRETENURING);
}
