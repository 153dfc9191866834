/** What is measured of calls, and who is asked for the rest. */
import type { Registry } from 'prom-client';
import type { ErrorCode, Fault } from '../errors.ts';

export interface FunctionName {
  readonly namespace: string;
  readonly name: string;
}

export interface CallMeasurement extends FunctionName {
  /** The trigger's path as written, never the request's; '' for a call by name. */
  readonly path: string;
  readonly method: string;
  readonly status: number;
  readonly durationMs: number;
  readonly overheadMs: number;
  readonly coldStart: boolean;
  readonly failure: { readonly code: ErrorCode; readonly fault: Fault } | null;
}

/** Stages of one call, ms, and the most memory that its instance had. */
export interface StageMeasurement {
  readonly queueMs: number;
  readonly specialiseMs: number;
  readonly instantiateMs: number;
  readonly guestMs: number;
  readonly hostMs: number;
  readonly waitMs: number;
  readonly memoryBytes: number;
}

/** What is asked at each scrape. */
export interface GaugeSource {
  /** Requests that wait, for functions that have any. */
  queued?(): Iterable<FunctionName & { readonly queued: number }>;
  /** Instances that exist now. */
  instances?(): Iterable<FunctionName & { readonly instances: number }>;
  /** Routes in the route table. */
  routes?(): number;
}

export interface PlatformMetrics {
  readonly registry: Registry;
  callStarted(name: FunctionName): void;
  callFinished(call: CallMeasurement): void;
  /** Where the time of one call went. */
  stages(name: FunctionName, stages: StageMeasurement): void;
  /** A request that no route took. */
  unrouted(kind: 'not found' | 'method not allowed', method: string): void;
  /** An instance could not be made. */
  coldStartFailed(name: FunctionName): void;
  /** Adds a source of gauges; returns what takes it away. */
  addSource(source: GaugeSource): () => void;
  /**
   * Adds registries of other threads, as prom-client's `getMetricsAsJSON` gives them; asked at each scrape. Returns
   * what takes them away.
   */
  addThreads(measure: () => Promise<readonly unknown[]>): () => void;
  /** The function exists (again): its series stay. */
  functionAdded(name: FunctionName): void;
  /** The function is gone: its series go after a while, so that a last scrape still sees them. */
  functionRemoved(name: FunctionName): void;
  /** The page of `/metrics`. */
  page(): Promise<{ contentType: string; body: string }>;
  close(): void;
}

export interface MetricsOptions {
  /** How long a removed function's series stay. @default 300000 */
  readonly keepRemovedMs?: number;
  /** Label sets for one function; further ones are counted as path and method `<other>`. @default 200 */
  readonly seriesPerFunction?: number;
  /** Whether to measure the process itself. @default true */
  readonly processMetrics?: boolean;
}
