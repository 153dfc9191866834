/**
 * The platform's metrics. Names and labels are Fission 1.27's where it has the metric, so that its dashboards
 * and alerts keep working; the others say in their help that they are ours.
 */
import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { ByName } from '../by-name.ts';
import type { Fault } from '../errors.ts';
import { Buckets, registerBuckets } from './buckets.ts';
import type {
  CallMeasurement,
  FunctionName,
  GaugeSource,
  MetricsOptions,
  PlatformMetrics,
  StageMeasurement,
} from './measurements.ts';

const CALL_LABELS = ['function_namespace', 'function_name', 'path', 'method', 'code'] as const;
const FUNCTION_LABELS = ['function_namespace', 'function_name'] as const;
/** The Prometheus clients' default, which Fission uses, and longer ones for functions that wait. */
const OVERHEAD_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DURATION_BUCKETS_S = [0.0005, 0.001, 0.0025, ...OVERHEAD_BUCKETS_S, 30, 60, 300];
const STAGE_BUCKETS_S = [1e-6, 5e-6, 2e-5, 1e-4, 5e-4, 2e-3, 1e-2, 5e-2, 0.25, 1, 10];
const MIB = 1024 * 1024;
const MEMORY_BUCKETS = [MIB, 4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB, 1024 * MIB];
const STAGES = ['queue', 'specialise', 'instantiate', 'guest', 'host', 'wait'] as const;
const OTHER = '<other>';

type Stage = (typeof STAGES)[number];

/** prom-client's type says less than what its `getMetricsAsJSON` gives and `aggregate` takes. */
type MetricsOfThreads = Parameters<typeof AggregatorRegistry.aggregate>[0];

type CallLabels = Record<(typeof CALL_LABELS)[number], string>;
type FunctionLabels = Record<(typeof FUNCTION_LABELS)[number], string>;

/** One set of labels that calls have. */
interface CallSeries {
  readonly labels: CallLabels;
  readonly overhead: Buckets;
  calls: number;
  errors: number;
}

/** What one function has to show. */
interface Series {
  readonly labels: FunctionLabels;
  readonly calls: Map<string, CallSeries>;
  /** That of the call before, which most calls are like. */
  last: {
    readonly path: string;
    readonly method: string;
    readonly status: number;
    readonly calls: CallSeries;
  } | null;
  readonly duration: Buckets;
  readonly stages: Map<Stage, Buckets>;
  readonly memory: Buckets;
  inFlight: number;
  coldStarts: number;
  coldStartErrors: number;
  removal: NodeJS.Timeout | undefined;
}

class Metrics implements PlatformMetrics {
  readonly registry = new Registry();
  readonly #keepRemovedMs: number;
  readonly #seriesPerFunction: number;
  readonly #series = new ByName<Series>();
  readonly #sources = new Set<GaugeSource>();
  readonly #threads = new Set<() => Promise<readonly unknown[]>>();

  readonly #failures = new Counter({
    name: 'fission_invocation_failures_total',
    help: 'Count of failed function invocations attributed by component and reason.',
    labelNames: ['component', 'reason'] as const,
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
    this.#addCallMetrics();
    this.#addGauges();
  }

  callStarted(name: FunctionName): void {
    this.#of(name).inFlight += 1;
  }

  callFinished(call: CallMeasurement): void {
    // Forgotten while the call ran: its function was removed long ago.
    const series = this.#series.get(call.namespace, call.name);
    if (series === undefined) return;
    series.inFlight = Math.max(0, series.inFlight - 1);
    const calls = this.#callSeries(series, call);
    calls.calls += 1;
    if (call.status >= 400 || (call.failure !== null && call.failure.code !== 'CLIENT_GONE'))
      calls.errors += 1;
    calls.overhead.observe(call.overheadMs / 1000);
    series.duration.observe(call.durationMs / 1000);
    if (call.coldStart) series.coldStarts += 1;
    // As in Fission, a client that goes is nobody's failure.
    if (call.failure === null || call.failure.code === 'CLIENT_GONE') return;
    const { code, fault } = call.failure;
    this.#failures.inc({ component: COMPONENT[fault], reason: code.toLowerCase() });
  }

  stages(name: FunctionName, measured: StageMeasurement): void {
    const series = this.#series.get(name.namespace, name.name);
    if (series === undefined) return;
    for (const stage of STAGES) {
      const buckets = series.stages.get(stage) ?? new Buckets(STAGE_BUCKETS_S);
      series.stages.set(stage, buckets);
      buckets.observe(measured[`${stage}Ms`] / 1000);
    }
    series.memory.observe(measured.memoryBytes);
  }

  unrouted(kind: 'not found' | 'method not allowed', method: string): void {
    this.#unrouted.inc({ path: `<${kind}>`, method, code: kind === 'not found' ? '404' : '405' });
  }

  coldStartFailed(name: FunctionName): void {
    this.#of(name).coldStartErrors += 1;
  }

  addSource(source: GaugeSource): () => void {
    this.#sources.add(source);
    return () => this.#sources.delete(source);
  }

  addThreads(measure: () => Promise<readonly unknown[]>): () => void {
    this.#threads.add(measure);
    return () => this.#threads.delete(measure);
  }

  functionAdded(name: FunctionName): void {
    const series = this.#series.get(name.namespace, name.name);
    if (series === undefined) return;
    clearTimeout(series.removal);
    series.removal = undefined;
  }

  functionRemoved({ namespace, name }: FunctionName): void {
    const series = this.#series.get(namespace, name);
    if (series === undefined || series.removal !== undefined) return;
    series.removal = setTimeout(() => this.#series.delete(namespace, name), this.#keepRemovedMs).unref();
  }

  async page(): Promise<{ contentType: string; body: string }> {
    const threads = await Promise.all(Array.from(this.#threads, (measure) => measure()));
    const others = threads.flat();
    const whole =
      others.length === 0
        ? this.registry
        : AggregatorRegistry.aggregate([
            await this.registry.getMetricsAsJSON(),
            ...others,
          ] as MetricsOfThreads);
    return { contentType: this.registry.contentType, body: await whole.metrics() };
  }

  close(): void {
    for (const { removal } of this.#series.values()) clearTimeout(removal);
    this.#sources.clear();
    this.registry.clear();
  }

  #of({ namespace, name }: FunctionName): Series {
    const known = this.#series.get(namespace, name);
    if (known !== undefined) return known;
    const made: Series = {
      labels: { function_namespace: namespace, function_name: name },
      calls: new Map(),
      last: null,
      duration: new Buckets(DURATION_BUCKETS_S),
      stages: new Map(),
      memory: new Buckets(MEMORY_BUCKETS),
      inFlight: 0,
      coldStarts: 0,
      coldStartErrors: 0,
      removal: undefined,
    };
    this.#series.set(namespace, name, made);
    return made;
  }

  #callSeries(series: Series, { path, method, status }: CallMeasurement): CallSeries {
    const { last } = series;
    if (last?.status === status && last.path === path && last.method === method) return last.calls;
    const calls = this.#findCalls(series, path, method, status);
    series.last = { path, method, status, calls };
    return calls;
  }

  #findCalls(series: Series, path: string, method: string, status: number): CallSeries {
    const key = `${path}\0${method}\0${status}`;
    const known = series.calls.get(key);
    if (known !== undefined) return known;
    if (series.calls.size < this.#seriesPerFunction) {
      return addCalls(series, key, { ...series.labels, path, method, code: String(status) });
    }
    // A function may answer with any status: past the bound only its first digit counts.
    const code = `${String(status).charAt(0)}xx`;
    const other = series.calls.get(OTHER + code);
    return other ?? addCalls(series, OTHER + code, { ...series.labels, path: OTHER, method: OTHER, code });
  }

  /** What calls count is kept in plain numbers, and becomes metrics at a scrape. */
  #addCallMetrics(): void {
    const all = this.#series;
    const registers = [this.registry];
    const { registry } = this;
    const calls = new Counter({
      name: 'fission_function_calls_total',
      help: 'Count of Fission function calls',
      labelNames: CALL_LABELS,
      registers,
      collect() {
        this.reset();
        for (const series of all.values())
          for (const { labels, calls: count } of series.calls.values()) this.inc(labels, count);
      },
    });
    const errors = new Counter({
      name: 'fission_function_errors_total',
      help: 'Count of Fission function errors',
      labelNames: CALL_LABELS,
      registers,
      collect() {
        this.reset();
        for (const series of all.values())
          for (const { labels, errors: count } of series.calls.values())
            if (count > 0) this.inc(labels, count);
      },
    });
    registerBuckets(registry, {
      name: 'fission_function_overhead_seconds',
      help: 'The function call delay caused by fission: from the arrival until the executor is asked.',
      *series() {
        for (const series of all.values())
          for (const { labels, overhead } of series.calls.values()) yield [labels, overhead];
      },
    });
    registerBuckets(registry, {
      name: 'fission_function_duration_seconds',
      help: 'From the arrival of a call to the last byte of its answer.',
      *series() {
        for (const { labels, duration, calls: known } of all.values())
          if (known.size > 0) yield [labels, duration];
      },
    });
    const coldStarts = new Counter({
      name: 'fission_function_cold_starts_total',
      help: 'How many cold starts are made by function_name, function_namespace.',
      labelNames: FUNCTION_LABELS,
      registers,
      collect() {
        this.reset();
        for (const { labels, coldStarts: count } of all.values()) if (count > 0) this.inc(labels, count);
      },
    });
    const coldStartErrors = new Counter({
      name: 'fission_function_cold_start_errors_total',
      help: 'Count of fission cold start errors',
      labelNames: FUNCTION_LABELS,
      registers,
      collect() {
        this.reset();
        for (const { labels, coldStartErrors: count } of all.values()) if (count > 0) this.inc(labels, count);
      },
    });
    const inFlight = new Gauge({
      name: 'fission_function_requests_in_flight',
      help: 'Calls of the function that run or wait now.',
      labelNames: FUNCTION_LABELS,
      registers,
      collect() {
        this.reset();
        for (const { labels, inFlight: count } of all.values()) this.set(labels, count);
      },
    });
    registerBuckets(registry, {
      name: 'fissium_invocation_stage_seconds',
      help: 'Where the time of calls went, by stage; of a sample of them, and those that asked for a receipt.',
      *series() {
        for (const { labels, stages } of all.values())
          for (const [stage, buckets] of stages) yield [{ ...labels, stage }, buckets];
      },
    });
    registerBuckets(registry, {
      name: 'fissium_invocation_memory_bytes',
      help: 'The most memory that the instance of a call had; of the same calls.',
      *series() {
        for (const { labels, stages, memory } of all.values()) if (stages.size > 0) yield [labels, memory];
      },
    });
    // The registry holds them.
    void [calls, errors, coldStarts, coldStartErrors, inFlight];
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
      // Every thread has the same.
      aggregator: 'max',
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

function addCalls(series: Series, key: string, labels: CallLabels): CallSeries {
  const made: CallSeries = { labels, overhead: new Buckets(OVERHEAD_BUCKETS_S), calls: 0, errors: 0 };
  series.calls.set(key, made);
  return made;
}

function functionLabels({ namespace, name }: FunctionName): FunctionLabels {
  return { function_namespace: namespace, function_name: name };
}

export function createMetrics(options: MetricsOptions = {}): PlatformMetrics {
  return new Metrics(options);
}
