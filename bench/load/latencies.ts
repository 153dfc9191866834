/** Latencies in Node's own HdrHistogram, in microseconds with three significant digits. */
import { createHistogram } from 'node:perf_hooks';
import type { Latency } from './job.ts';

const HIGHEST_US = 600_000_000;

export class Latencies {
  readonly #histogram = createHistogram({ lowest: 1, highest: HIGHEST_US, figures: 3 });

  record(ms: number): void {
    this.#histogram.record(Math.min(HIGHEST_US, Math.max(1, Math.round(ms * 1000))));
  }

  summary(): Latency {
    const histogram = this.#histogram;
    if (histogram.count === 0) return { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, mean: 0 };
    const at = (percentile: number): number => histogram.percentile(percentile) / 1000;
    return {
      count: histogram.count,
      p50: at(50),
      p90: at(90),
      p99: at(99),
      p999: at(99.9),
      max: histogram.max / 1000,
      mean: histogram.mean / 1000,
    };
  }
}
