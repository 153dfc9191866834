import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Latencies } from './latencies.ts';

function of(values: readonly number[]): Latencies {
  const latencies = new Latencies();
  for (const value of values) latencies.record(value);
  return latencies;
}

describe('latencies', () => {
  it('are nothing at first', () => {
    expect(of([]).summary()).toEqual({ count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, mean: 0 });
    expect(of([]).buckets()).toEqual([]);
  });

  it('keep the tail apart from the middle', () => {
    const { p50, p99, p999, max } = of([
      ...Array.from({ length: 995 }, () => 1),
      50,
      50,
      50,
      50,
      2000,
    ]).summary();
    expect(p50).toBe(1);
    expect(p99).toBe(1);
    expect(p999).toBeCloseTo(50, 1);
    expect(max).toBe(2000);
  });

  it('take what no clock gives', () => {
    expect(of([-1, 0, 1e12]).summary()).toMatchObject({ count: 3, p50: 0, max: (2 ** 30 - 1) / 1000 });
  });

  it('have percentiles of three digits, never under the value itself', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.001, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
        (values) => {
          const summary = of(values).summary();
          const sorted = values.map((ms) => Math.round(ms * 1000)).toSorted((a, b) => a - b);
          for (const [percent, found] of [
            [50, summary.p50],
            [90, summary.p90],
            [99, summary.p99],
            [99.9, summary.p999],
          ] as const) {
            const exactUs = sorted[Math.ceil((percent / 100) * sorted.length - 1e-9) - 1] ?? 0;
            expect(found * 1000).toBeGreaterThanOrEqual(exactUs - 1e-6);
            expect(found * 1000).toBeLessThanOrEqual(exactUs * 1.001 + 1e-6);
          }
          expect(summary.count).toBe(values.length);
          expect(summary.max * 1000).toBeCloseTo(sorted.at(-1) ?? 0);
        },
      ),
    );
  });

  it('have coarse buckets that hold every value, each in its own place', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.001, max: 50_000, noNaN: true }), { minLength: 1 }),
        (values) => {
          const buckets = of(values).buckets();
          expect(buckets.reduce((sum, [, , count]) => sum + count, 0)).toBe(values.length);
          for (const [from, to] of buckets) expect(to).toBeGreaterThan(from);
          buckets
            .slice(1)
            .forEach(([from], i) => expect(from).toBeGreaterThanOrEqual((buckets[i]?.[1] ?? 0) * 0.999));
        },
      ),
    );
  });
});
