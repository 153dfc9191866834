/** What the load generator is told, and what it says. */
import type { Bucket } from './latencies.ts';

export interface Target {
  /** `http:` only. */
  readonly url: string;
  readonly method: string;
  /** Bytes of the request body, all the same; 0 for none. */
  readonly bodyBytes: number;
  /** A file that is the request body, instead. */
  readonly bodyFile?: string;
  /** More headers; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

export type Job =
  /** Each connection sends its next request when its answer is there. */
  | {
      readonly mode: 'closed';
      readonly targets: readonly Target[];
      readonly connections: number;
      readonly warmUpMs: number;
      readonly durationMs: number;
    }
  /** Requests at a fixed rate, whatever becomes of them. */
  | {
      readonly mode: 'open';
      readonly targets: readonly Target[];
      readonly ratePerS: number;
      /** The most connections; a request for which there is none waits, and its latency counts. */
      readonly connections: number;
      readonly warmUpMs: number;
      readonly durationMs: number;
    }
  /** One request on each of the connections, which are opened before, all at once. */
  | {
      readonly mode: 'burst';
      readonly targets: readonly Target[];
      readonly connections: number;
      readonly limitMs: number;
    };

/** Latencies in ms, from a histogram of three significant digits. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly mean: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly durationMs: number;
  readonly perSecond: number;
  /** From the intended start (open), or from sending (closed, burst), to the last byte. */
  readonly latency: Latency;
  /** The same as a histogram that can be drawn. */
  readonly buckets: readonly Bucket[];
  /** From sending to the last byte: what hides a stall from an open loop. */
  readonly service: Latency;
  /** How late the generator was itself: from the intended start to sending, where a connection was free. */
  readonly lag: Latency;
  readonly bytes: number;
  /** Answers that were no 2xx, by status, and failures, by what happened. */
  readonly errors: Readonly<Record<string, number>>;
  /** CPU time that the generator used per second while it measured, of one core: from about 0.9 on it measures itself. */
  readonly generatorCpu: number;
  /** CPU time that the generator used for each request, µs. */
  readonly generatorUsPerRequest: number;
  /** Burst: until the last answer was complete, ms. */
  readonly allDoneMs: number;
}
