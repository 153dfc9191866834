/** Go's durations (`time.ParseDuration`): `10s`, `1m30s`, `1.5h`, `-250ms`. */

const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;
const MAX_LENGTH = 64;

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** What {@link parseDuration} takes, for error messages. */
export const DURATION_WORDS = 'a duration such as 500ms, 10s, 1m30s or 2h';

/** Milliseconds, or null where the text is no duration. A number alone is none, except 0. */
export function parseDuration(text: string): number | null {
  if (text.length > MAX_LENGTH) return null;
  const negative = text.startsWith('-');
  const rest = /^[+-]/.test(text) ? text.slice(1) : text;
  if (rest === '0') return 0;
  if (rest === '') return null;
  let ms = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < rest.length) {
    const match = PART.exec(rest);
    if (match === null) return null;
    ms += Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? Number.NaN);
  }
  return negative ? 0 - ms : ms;
}

/** A field that takes whole seconds as a number (or as digits) or a duration; milliseconds, or null. */
export function parseSecondsOrDuration(value: string | number): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value * 1000 : null;
  return /^\d{1,15}$/.test(value) ? Number(value) * 1000 : parseDuration(value);
}
