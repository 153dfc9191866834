/**
 * The platform's metrics. Names and labels are Fission 1.27's where it has the metric, so that its dashboards
 * and alerts keep working; the others say in their help that they are ours.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
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
  /** A request that no route took. */
  unrouted(kind: 'not found' | 'method not allowed', method: string): void;
  /** An instance could not be made. */
  coldStartFailed(name: FunctionName): void;
  /** Adds a source of gauges; returns what takes it away. */
  addSource(source: GaugeSource): () => void;
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

const CALL_LABELS = ['function_namespace', 'function_name', 'path', 'method', 'code'] as const;
const FUNCTION_LABELS = ['function_namespace', 'function_name'] as const;
/** The Prometheus clients' default, which Fission uses, and longer ones for functions that wait. */
const OVERHEAD_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DURATION_BUCKETS_S = [0.0005, 0.001, 0.0025, ...OVERHEAD_BUCKETS_S, 30, 60, 300];
const OTHER = '<other>';

type CallLabels = Record<(typeof CALL_LABELS)[number], string>;
type FunctionLabels = Record<(typeof FUNCTION_LABELS)[number], string>;

/** What one function has in the registry. */
interface Series {
  readonly labels: FunctionLabels;
  readonly calls: Map<string, CallLabels>;
  inFlight: number;
  removal: NodeJS.Timeout | undefined;
}

class Metrics implements PlatformMetrics {
  readonly registry = new Registry();
  readonly #keepRemovedMs: number;
  readonly #seriesPerFunction: number;
  readonly #series = new Map<string, Series>();
  readonly #sources = new Set<GaugeSource>();

  readonly #calls = new Counter({
    name: 'fission_function_calls_total',
    help: 'Count of Fission function calls',
    labelNames: CALL_LABELS,
    registers: [this.registry],
  });
  readonly #errors = new Counter({
    name: 'fission_function_errors_total',
    help: 'Count of Fission function errors',
    labelNames: CALL_LABELS,
    registers: [this.registry],
  });
  readonly #overhead = new Histogram({
    name: 'fission_function_overhead_seconds',
    help: 'The function call delay caused by fission: from the arrival until the executor is asked.',
    labelNames: CALL_LABELS,
    buckets: OVERHEAD_BUCKETS_S,
    registers: [this.registry],
  });
  readonly #duration = new Histogram({
    name: 'fission_function_duration_seconds',
    help: 'From the arrival of a call to the last byte of its answer.',
    labelNames: FUNCTION_LABELS,
    buckets: DURATION_BUCKETS_S,
    registers: [this.registry],
  });
  readonly #coldStarts = new Counter({
    name: 'fission_function_cold_starts_total',
    help: 'How many cold starts are made by function_name, function_namespace.',
    labelNames: FUNCTION_LABELS,
    registers: [this.registry],
  });
  readonly #coldStartErrors = new Counter({
    name: 'fission_function_cold_start_errors_total',
    help: 'Count of fission cold start errors',
    labelNames: FUNCTION_LABELS,
    registers: [this.registry],
  });
  readonly #failures = new Counter({
    name: 'fission_invocation_failures_total',
    help: 'Count of failed function invocations attributed by component and reason.',
    labelNames: ['component', 'reason'] as const,
    registers: [this.registry],
  });
  readonly #inFlight = new Gauge({
    name: 'fission_function_requests_in_flight',
    help: 'Calls of the function that run or wait now.',
    labelNames: FUNCTION_LABELS,
    registers: [this.registry],
  });
  readonly #unrouted = new Counter({
    name: 'http_requests_total',
    help: 'Number of requests that no route took, by path (a constant), method and status code.',
    labelNames: ['path', 'method', 'code'] as const,
    registers: [this.registry],
  });

  constructor(options: MetricsOptions) {
    this.#keepRemovedMs = options.keepRemovedMs ?? 300_000;
    this.#seriesPerFunction = options.seriesPerFunction ?? 200;
    if (options.processMetrics !== false) collectDefaultMetrics({ register: this.registry });
    this.#addGauges();
  }

  callStarted(name: FunctionName): void {
    const series = this.#of(name);
    series.inFlight += 1;
    this.#inFlight.set(series.labels, series.inFlight);
  }

  callFinished(call: CallMeasurement): void {
    // Forgotten while the call ran: its function was removed long ago.
    const series = this.#series.get(keyOf(call));
    if (series === undefined) return;
    series.inFlight = Math.max(0, series.inFlight - 1);
    this.#inFlight.set(series.labels, series.inFlight);
    const labels = this.#callLabels(series, call);
    this.#calls.inc(labels);
    if (call.status >= 400 || (call.failure !== null && call.failure.code !== 'CLIENT_GONE'))
      this.#errors.inc(labels);
    this.#overhead.observe(labels, call.overheadMs / 1000);
    this.#duration.observe(series.labels, call.durationMs / 1000);
    if (call.coldStart) this.#coldStarts.inc(series.labels);
    // As in Fission, a client that goes is nobody's failure.
    if (call.failure === null || call.failure.code === 'CLIENT_GONE') return;
    const { code, fault } = call.failure;
    this.#failures.inc({ component: COMPONENT[fault], reason: code.toLowerCase() });
  }

  unrouted(kind: 'not found' | 'method not allowed', method: string): void {
    this.#unrouted.inc({ path: `<${kind}>`, method, code: kind === 'not found' ? '404' : '405' });
  }

  coldStartFailed(name: FunctionName): void {
    this.#coldStartErrors.inc(this.#of(name).labels);
  }

  addSource(source: GaugeSource): () => void {
    this.#sources.add(source);
    return () => this.#sources.delete(source);
  }

  functionAdded(name: FunctionName): void {
    const series = this.#series.get(keyOf(name));
    if (series === undefined) return;
    clearTimeout(series.removal);
    series.removal = undefined;
  }

  functionRemoved(name: FunctionName): void {
    const key = keyOf(name);
    const series = this.#series.get(key);
    if (series === undefined || series.removal !== undefined) return;
    series.removal = setTimeout(() => this.#forget(key, series), this.#keepRemovedMs).unref();
  }

  async page(): Promise<{ contentType: string; body: string }> {
    return { contentType: this.registry.contentType, body: await this.registry.metrics() };
  }

  close(): void {
    for (const { removal } of this.#series.values()) clearTimeout(removal);
    this.#sources.clear();
    this.registry.clear();
  }

  #of(name: FunctionName): Series {
    const key = keyOf(name);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const made: Series = {
      labels: { function_namespace: name.namespace, function_name: name.name },
      calls: new Map(),
      inFlight: 0,
      removal: undefined,
    };
    this.#series.set(key, made);
    return made;
  }

  #callLabels(series: Series, { path, method, status }: CallMeasurement): CallLabels {
    const key = `${path}\0${method}\0${status}`;
    const known = series.calls.get(key);
    if (known !== undefined) return known;
    const isFull = series.calls.size >= this.#seriesPerFunction;
    // A function may answer with any status: past the bound only its first digit counts.
    const labels: CallLabels = isFull
      ? { ...series.labels, path: OTHER, method: OTHER, code: `${String(status).charAt(0)}xx` }
      : { ...series.labels, path, method, code: String(status) };
    if (!isFull) series.calls.set(key, labels);
    else series.calls.set(`${OTHER}${labels.code}`, labels);
    return labels;
  }

  #forget(key: string, series: Series): void {
    this.#series.delete(key);
    for (const labels of series.calls.values()) {
      this.#calls.remove(labels);
      this.#errors.remove(labels);
      this.#overhead.remove(labels);
    }
    this.#duration.remove(series.labels);
    this.#coldStarts.remove(series.labels);
    this.#coldStartErrors.remove(series.labels);
    this.#inFlight.remove(series.labels);
  }

  #addGauges(): void {
    const sources = this.#sources;
    const registers = [this.registry];
    const queued = new Gauge({
      name: 'fission_function_queue_depth',
      help: 'Calls that wait for their turn.',
      labelNames: FUNCTION_LABELS,
      registers,
      collect() {
        this.reset();
        for (const source of sources) {
          for (const load of source.queued?.() ?? []) this.inc(functionLabels(load), load.queued);
        }
      },
    });
    const instances = new Gauge({
      name: 'fission_function_instances',
      help: 'Instances of the function that exist now.',
      labelNames: FUNCTION_LABELS,
      registers,
      collect() {
        this.reset();
        for (const source of sources) {
          for (const load of source.instances?.() ?? []) this.inc(functionLabels(load), load.instances);
        }
      },
    });
    const routes = new Gauge({
      name: 'fission_router_routes',
      help: 'Routes currently in the route table.',
      registers,
      collect() {
        let total = 0;
        for (const source of sources) total += source.routes?.() ?? 0;
        this.set(total);
      },
    });
    // The registry holds them.
    void [queued, instances, routes];
  }
}

/** Fission's names for where a failure came from. */
const COMPONENT: Readonly<Record<Fault, string>> = {
  caller: 'router',
  function: 'function',
  platform: 'executor',
};

function keyOf({ namespace, name }: FunctionName): string {
  return `${namespace}/${name}`;
}

function functionLabels({ namespace, name }: FunctionName): FunctionLabels {
  return { function_namespace: namespace, function_name: name };
}

export function createMetrics(options: MetricsOptions = {}): PlatformMetrics {
  return new Metrics(options);
}
