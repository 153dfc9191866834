/** The few statistics that the suite prints. Medians, because a mean hides what a stall did to it. */

/**
 * The quantile by linear interpolation between neighbours (type 7, what most tools print).
 * @throws RangeError where there is no value
 */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) throw new RangeError('a quantile of no values');
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] ?? NaN;
  const high = sorted[Math.ceil(at)] ?? NaN;
  return low + (high - low) * (at - Math.floor(at));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function mean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('a mean of no values');
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export interface Summary {
  readonly count: number;
  readonly median: number;
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  /** Half of the values lie between these. */
  readonly quartiles: readonly [low: number, high: number];
}

export function summarise(values: readonly number[]): Summary {
  return {
    count: values.length,
    median: median(values),
    mean: mean(values),
    min: Math.min(...values),
    max: Math.max(...values),
    quartiles: [quantile(values, 0.25), quantile(values, 0.75)],
  };
}

/** Three significant digits, without an exponent: what a figure of a benchmark is worth. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  if (magnitude >= 2) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.min(4, 2 - magnitude));
}
