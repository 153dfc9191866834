/**
 * Histograms that cost a call next to nothing: plain numbers while calls run, Prometheus' form at a scrape.
 * prom-client's own look their series up by a string made of all labels at each observation.
 */
import type { Histogram, Registry } from 'prom-client';

/** One series of a histogram. */
export class Buckets {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  /** @param bounds upper bounds (inclusive), ascending */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    // Most calls end in one of the first.
    while (at < bounds.length && value > (bounds[at] ?? Infinity)) at++;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  /** The series as a scrape has it: bucket counts add up from the first on. */
  *values(name: string, labels: Readonly<Record<string, string>>): Iterable<HistogramValue> {
    let total = 0;
    for (const [at, count] of this.#counts.entries()) {
      total += count;
      const le = this.#bounds[at] ?? '+Inf';
      yield { metricName: `${name}_bucket`, labels: { le, ...labels }, value: total };
    }
    yield { metricName: `${name}_sum`, labels, value: this.#sum };
    yield { metricName: `${name}_count`, labels, value: total };
  }
}

export interface HistogramValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

type LabelledBuckets = readonly [labels: Readonly<Record<string, string>>, buckets: Buckets];

/** Registers a histogram whose series are asked for at each scrape. */
export function registerBuckets(
  registry: Registry,
  options: { readonly name: string; readonly help: string; readonly series: () => Iterable<LabelledBuckets> },
): void {
  const { name, help, series } = options;
  const metric = {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    get: () =>
      Promise.resolve({
        name,
        help,
        type: 'histogram',
        aggregator: 'sum',
        values: Array.from(series()).flatMap(([labels, buckets]) => [...buckets.values(name, labels)]),
      }),
  };
  // A registry asks no more of a metric than this.
  registry.registerMetric(metric as unknown as Histogram);
}
