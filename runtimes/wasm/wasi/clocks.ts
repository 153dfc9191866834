/** `wasi:clocks`. Timers exist only while a guest waits for one, so that none is left when it ends. */
import { Pollable } from './poll.ts';
import type { Disarm, Readiness } from './readiness.ts';
import type { GuestState } from './state.ts';

const NS_PER_MS = 1_000_000n;
/** The longest that setTimeout can wait, ms; it takes longer ones for 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface Datetime {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

/** Ready once the monotonic clock has reached `deadlineNs`, however far away that is. */
class Deadline implements Readiness {
  readonly #deadlineNs: bigint;

  constructor(deadlineNs: bigint) {
    this.#deadlineNs = deadlineNs;
  }

  isReady(): boolean {
    return process.hrtime.bigint() >= this.#deadlineNs;
  }

  arm(wake: () => void): Disarm {
    let timer: NodeJS.Timeout;
    const start = (): void => {
      const leftNs = this.#deadlineNs - process.hrtime.bigint();
      const leftMs = (leftNs + NS_PER_MS - 1n) / NS_PER_MS;
      const delayMs = leftMs > BigInt(LONGEST_TIMER_MS) ? LONGEST_TIMER_MS : Math.max(1, Number(leftMs));
      // setTimeout may be early by a fraction of a millisecond.
      timer = setTimeout(() => (this.isReady() ? wake() : start()), delayMs);
    };
    start();
    return () => clearTimeout(timer);
  }
}

/** @param whenNs monotonic time, nanoseconds */
export function subscribeInstant(state: GuestState, whenNs: bigint): Pollable {
  state.check();
  return new Pollable(state, new Deadline(whenNs));
}

/** @param durationNs from now, nanoseconds; the sum may go past 64 bits, and then it is never ready */
export function subscribeDuration(state: GuestState, durationNs: bigint): Pollable {
  state.check();
  return new Pollable(state, new Deadline(process.hrtime.bigint() + durationNs));
}

/** Monotonic time, nanoseconds. */
export function monotonicNow(state: GuestState): bigint {
  state.check();
  return process.hrtime.bigint();
}

export function wallClockNow(state: GuestState): Datetime {
  state.check();
  const nowMs = Date.now();
  return { seconds: BigInt(Math.floor(nowMs / 1000)), nanoseconds: (nowMs % 1000) * 1_000_000 };
}

export const MONOTONIC_RESOLUTION_NS = 1n;
export const WALL_CLOCK_RESOLUTION: Datetime = { seconds: 0n, nanoseconds: 1_000_000 };

/** `wasi:clocks/timezone` (unstable): a guest lives in UTC. */
export const UTC = { utcOffset: 0, name: 'UTC', inDaylightSavingTime: false } as const;
