/** The order of lines from several places. */
import type { LogLine } from './logs.ts';

/** Compares times of RFC 3339 in UTC, whose fractions may have any number of digits. */
export function compareTimes(a: string, b: string): number {
  const [left, right] = [comparable(a), comparable(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

export function byTime(a: LogLine, b: LogLine): number {
  return compareTimes(a.time, b.time);
}

/** All lines by their times, those of one place in their order; with `tail` the newest alone. */
export function mergedTail(places: readonly (readonly LogLine[])[], tail: number | undefined): LogLine[] {
  const all = places.flat().toSorted(byTime);
  return tail === undefined ? all : all.slice(Math.max(0, all.length - tail));
}

/** `2026-01-01T00:00:00.5Z` as `2026-01-01T00:00:00.500000000`. */
function comparable(time: string): string {
  const [whole = '', fraction = ''] = time.replace(/Z$/, '').split('.');
  return `${whole}.${fraction.padEnd(9, '0')}`;
}
