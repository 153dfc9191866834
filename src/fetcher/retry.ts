import { setTimeout as delay } from 'node:timers/promises';

/** Waits between attempts, milliseconds: quick at first, ten seconds in all. */
const WAITS_MS = [50, 100, 200, 400, 800, 1600, 3200, 3200];

/** For what is most likely not there at all. */
export const SHORT_WAITS_MS = [20, 40, 80, 160, 320];

/** Does it again while it fails with what may pass, by default for about ten seconds. */
export async function withRetries<T>(
  work: () => Promise<T>,
  mayPass: (error: unknown) => boolean,
  signal: AbortSignal,
  waitsMs: readonly number[] = WAITS_MS,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const waitMs = waitsMs[attempt];
      if (waitMs === undefined || !mayPass(error)) throw error;
      await delay(waitMs, undefined, { signal });
    }
  }
}
