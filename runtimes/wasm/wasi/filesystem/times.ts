/** `wasi:clocks/wall-clock.datetime`. */
export interface Datetime {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

/** @param ms since 1970; what is before that counts as 1970, which is where a datetime begins */
export function datetimeOf(ms: number): Datetime {
  const whole = Math.max(0, Math.floor(ms));
  return { seconds: BigInt(Math.floor(whole / 1000)), nanoseconds: (whole % 1000) * 1_000_000 };
}

export function now(): Datetime {
  return datetimeOf(Date.now());
}
