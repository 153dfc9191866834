/** The clocks of WASI preview 1. CPU time is not told: it would be the thread's, shared with other guests. */
export const CLOCK = { realtime: 0, monotonic: 1 } as const;

export const CLOCK_RESOLUTION_NS: Readonly<Record<number, bigint>> = {
  [CLOCK.realtime]: 1_000_000n,
  [CLOCK.monotonic]: 1n,
};

/** Time of a clock that {@link CLOCK_RESOLUTION_NS} knows, ns. */
export function clockNs(clock: number): bigint {
  return clock === CLOCK.realtime ? BigInt(Date.now()) * 1_000_000n : process.hrtime.bigint();
}
