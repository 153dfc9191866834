/**
 * A histogram of latencies with three significant digits, in the manner of HdrHistogram: buckets whose width doubles,
 * so that a microsecond and ten minutes fit beside each other. Node's own costs a call out of JavaScript for each
 * value, and its buckets cannot be read.
 */
import type { Latency } from './job.ts';

/** Up to this many µs each bucket is one µs wide. */
const LINEAR = 2048;
/** Buckets in each doubling above. */
const HALF = LINEAR / 2;
const HIGHEST_US = 2 ** 30 - 1;
const DOUBLINGS = 30 - 11;

/** `[from, to, count]`, ms: values of at least `from` and less than `to`. */
export type Bucket = readonly [fromMs: number, toMs: number, count: number];

export class Latencies {
  readonly #counts = new Float64Array(LINEAR + DOUBLINGS * HALF);
  #count = 0;
  #sumUs = 0;
  #maxUs = 0;

  record(ms: number): void {
    const exact = ms * 1000;
    const us = exact <= 0 ? 0 : exact >= HIGHEST_US ? HIGHEST_US : Math.round(exact);
    const at = indexOf(us);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#count++;
    this.#sumUs += us;
    if (us > this.#maxUs) this.#maxUs = us;
  }

  summary(): Latency {
    if (this.#count === 0) return { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, mean: 0 };
    return {
      count: this.#count,
      p50: this.#percentile(50),
      p90: this.#percentile(90),
      p99: this.#percentile(99),
      p999: this.#percentile(99.9),
      max: this.#maxUs / 1000,
      mean: this.#sumUs / this.#count / 1000,
    };
  }

  /**
   * Buckets that are not empty, coarser than they are kept: about `perDecade` for each power of ten, which is what a
   * chart can show.
   */
  buckets(perDecade = 20): Bucket[] {
    const coarse = new Map<number, number>();
    this.#counts.forEach((count, at) => {
      if (count === 0) return;
      const step = Math.floor(Math.log10(Math.max(1, middleUs(at))) * perDecade + 1e-9);
      coarse.set(step, (coarse.get(step) ?? 0) + count);
    });
    const edge = (step: number): number => 10 ** (step / perDecade) / 1000;
    return [...coarse].map(([step, count]) => [edge(step), edge(step + 1), count] as const);
  }

  /** The least value that at least `percent` of the values do not exceed, within a thousandth. */
  #percentile(percent: number): number {
    // Less a trifle: 99.9 % of 1,000 is a hair over 999 in binary.
    const wanted = Math.max(1, Math.ceil((percent / 100) * this.#count - 1e-9));
    let seen = 0;
    for (let at = 0; at < this.#counts.length; at++) {
      seen += this.#counts[at] ?? 0;
      if (seen >= wanted) return Math.min(highestUs(at), this.#maxUs) / 1000;
    }
    return this.#maxUs / 1000;
  }
}

function indexOf(us: number): number {
  if (us < LINEAR) return us;
  const shift = 21 - Math.clz32(us);
  return LINEAR + (shift - 1) * HALF + ((us >>> shift) - HALF);
}

/** The lowest value of a bucket, µs, and how many values it holds. */
function bounds(at: number): [fromUs: number, width: number] {
  if (at < LINEAR) return [at, 1];
  const shift = Math.floor((at - LINEAR) / HALF) + 1;
  return [(((at - LINEAR) % HALF) + HALF) * 2 ** shift, 2 ** shift];
}

/** Rounded up: a figure that flatters is worse than one that does not. */
function highestUs(at: number): number {
  const [from, width] = bounds(at);
  return from + width - 1;
}

function middleUs(at: number): number {
  const [from, width] = bounds(at);
  return from + (width - 1) / 2;
}
