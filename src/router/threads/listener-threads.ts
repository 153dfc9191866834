/**
 * The listener threads, seen from the main thread: accepts their connections, keeps their tables current, makes the
 * calls that they cannot make themselves, and collects what they measured.
 */
import { MessageChannel } from 'node:worker_threads';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { Counter } from 'prom-client';
import type { ListenerHooks } from '../../../runtimes/wasm/thread-group.ts';
import { FissiumError, toErrorData } from '../../errors.ts';
import type { Invoker } from '../../executors/executor.ts';
import type { LogStore, PlatformMetrics } from '../../observe/index.ts';
import { onMessage } from '../../message-port.ts';
import { DEFAULT_ADMISSION, type AdmissionSettings } from '../admission.ts';
import type { FunctionEntry, FunctionTable } from '../function-table.ts';
import type { RouteTable } from '../route-table.ts';
import type { CountsHandle, SharedCounts } from '../shared-counts.ts';
import { Acceptor } from './acceptor.ts';
import type { FromListener, FunctionReplica, ListenerStart, TableChange, ToListener } from './protocol.ts';
import { RemoteCallServer } from './remote-calls.ts';
import { Slots } from './slots.ts';

export interface ListenerThreadsOptions {
  readonly functions: FunctionTable;
  readonly routes: RouteTable;
  readonly counts: SharedCounts;
  readonly metrics: PlatformMetrics;
  readonly logs: Pick<LogStore, 'append'>;
  readonly logger: Logger;
  readonly version: string;
  /** @default {@link DEFAULT_ADMISSION} */
  readonly admission?: AdmissionSettings;
  /** See `CallServices.fromRouters`. @default false */
  readonly fromRouters?: boolean;
  /** See `ListenerStart.callKeys`. @default everybody is let in */
  readonly callKeys?: readonly Uint8Array[];
}

interface ListenerThread {
  readonly port: MessagePort;
  readonly connections: Int32Array<SharedArrayBuffer>;
  readonly counts: CountsHandle;
  readonly calls: RemoteCallServer;
  /** The last change that it has taken over. */
  applied: number;
  serving: boolean;
  drained: () => void;
  warmedUp: () => void;
  readonly measuring: Map<number, (metrics: unknown) => void>;
  /** Its metrics when it was last asked, so that counters do not fall when it is lost. */
  measured: unknown;
}

/** How long a thread may take to say what it measured: one that is stuck must not keep the page from the others, ms. */
const MEASURE_MS = 1000;

export class ListenerThreads implements ListenerHooks {
  readonly slots: Slots;
  readonly #options: ListenerThreadsOptions;
  readonly #acceptor: Acceptor;
  readonly #threads = new Map<number, ListenerThread>();
  readonly #unsubscribe: (() => void)[];
  #changes: TableChange[] = [];
  #sent = 0;
  #waiting: { readonly number: number; readonly resolve: () => void }[] = [];
  #ready = false;
  readonly #lostConnections: Counter;
  #nextMeasure = 1;
  #lostMetrics: unknown[] = [];

  constructor(options: ListenerThreadsOptions) {
    this.#options = options;
    const { functions, routes, metrics, logger, counts } = options;
    this.slots = new Slots(counts);
    this.#lostConnections = new Counter({
      name: 'fissium_connections_lost_total',
      help: 'Connections that were lost because the thread that owned them had to be ended.',
      registers: [metrics.registry],
    });
    this.#acceptor = new Acceptor({
      logger: logger.child({ component: 'acceptor' }),
      give: (socket) => this.#give(socket),
    });
    this.#unsubscribe = [
      functions.subscribe({
        set: (entry) => this.#change({ do: 'set-function', function: this.#replica(entry) }),
        deleted: (namespace, name) => {
          this.slots.release(`${namespace}/${name}`);
          this.#change({ do: 'delete-function', namespace, name });
        },
      }),
      routes.subscribe({
        upserted: (route) => this.#change({ do: 'set-route', route }),
        deleted: (namespace, name) => this.#change({ do: 'delete-route', namespace, name }),
      }),
      metrics.addThreads(() => this.#measure()),
    ];
  }

  /** Takes connections; resolves with the port. Rejects where the address cannot be had. */
  listen(host: string, port: number): Promise<number> {
    return this.#acceptor.listen(host, port);
  }

  /** For `/readyz`. */
  set ready(ready: boolean) {
    this.#ready = ready;
    this.#change({ do: 'set-ready', ready });
  }

  /** Resolves when every thread's tables have what was changed until now. */
  async settled(): Promise<void> {
    this.#flush();
    const number = this.#sent;
    if (this.#appliedByAll() >= number) return;
    await new Promise<void>((resolve) => this.#waiting.push({ number, resolve }));
  }

  /** Has every thread run requests of its own through the function that it has as `threadKey`; see `warm-up.worker.ts`. */
  async warmUp(threadKey: string, connections: number): Promise<void> {
    await Promise.all(
      [...this.#threads.values()].map((thread) => this.#warmUp(thread, threadKey, connections)),
    );
  }

  /** Its connections come through this thread, as they do later: to move the first one takes milliseconds. */
  async #warmUp(thread: ListenerThread, threadKey: string, connections: number): Promise<void> {
    const acceptor = new Acceptor({
      logger: this.#options.logger,
      give: (socket) => {
        hand(thread, 'warm-up-socket', socket);
        return true;
      },
    });
    const port = await acceptor.listen('127.0.0.1', 0);
    await new Promise<void>((resolve) => {
      thread.warmedUp = resolve;
      post(thread, { type: 'warm-up', threadKey, port, connections });
    });
    await acceptor.close();
  }

  /** Takes no more connections, and lets the requests of those that are open end. */
  async close({ graceMs }: { graceMs: number }): Promise<void> {
    await this.#acceptor.close();
    await Promise.all(
      [...this.#threads.values()].map(
        (thread) =>
          new Promise<void>((resolve) => {
            thread.drained = resolve;
            post(thread, { type: 'drain', graceMs });
          }),
      ),
    );
    for (const undo of this.#unsubscribe) undo();
  }

  starting(id: number): ListenerStart {
    const { counts, admission = DEFAULT_ADMISSION, version, logger, functions, routes } = this.#options;
    const channel = new MessageChannel();
    const port = channel.port1 as unknown as MessagePort;
    const thread: ListenerThread = {
      port,
      connections: new Int32Array(new SharedArrayBuffer(4)),
      counts: counts.handle(),
      calls: new RemoteCallServer(
        (key) => this.#invokerOf(key),
        (message, transfer = []) => post(thread, { type: 'call', message }, transfer),
      ),
      applied: 0,
      serving: false,
      drained: () => undefined,
      warmedUp: () => undefined,
      measuring: new Map(),
      measured: null,
    };
    onMessage(port, (message: FromListener) => this.#receive(thread, message));
    // What changes from now on it is told; what there is already, all at once.
    this.#flush();
    this.#threads.set(id, thread);
    const changes: TableChange[] = [
      ...Array.from(functions.list(), (entry) => ({
        do: 'set-function' as const,
        function: this.#replica(entry),
      })),
      ...Array.from(routes.list(), (route) => ({ do: 'set-route' as const, route })),
      { do: 'set-ready', ready: this.#ready },
    ];
    post(thread, { type: 'tables', number: this.#sent, changes });
    return {
      port: channel.port2 as unknown as MessagePort,
      connections: thread.connections.buffer,
      counts: thread.counts,
      maxRequests: admission.maxRequests,
      version,
      logLevel: logger.level,
      fromRouters: this.#options.fromRouters ?? false,
      callKeys: this.#options.callKeys ?? [],
    };
  }

  serving(id: number): void {
    const thread = this.#threads.get(id);
    if (!thread) return;
    thread.serving = true;
    this.#acceptor.resume();
  }

  lost(id: number): void {
    const thread = this.#threads.get(id);
    if (!thread) return;
    this.#threads.delete(id);
    this.#lostConnections.inc(Math.max(0, Atomics.load(thread.connections, 0)));
    this.#options.counts.forget(thread.counts);
    thread.calls.close();
    thread.port.close();
    thread.drained();
    thread.warmedUp();
    this.#lostMetrics.push(countersOf(thread.measured));
    for (const measured of thread.measuring.values()) measured(thread.measured);
    this.#settle();
  }

  #give(socket: Socket): boolean {
    let best: ListenerThread | null = null;
    let fewest = Infinity;
    for (const thread of this.#threads.values()) {
      const open = Atomics.load(thread.connections, 0);
      if (!thread.serving || open >= fewest) continue;
      best = thread;
      fewest = open;
    }
    if (!best) return false;
    // A client that went meanwhile needs no thread.
    if (socket.destroyed) return true;
    Atomics.add(best.connections, 0, 1);
    hand(best, 'socket', socket);
    return true;
  }

  #change(change: TableChange): void {
    if (this.#changes.length === 0) setImmediate(() => this.#flush());
    this.#changes.push(change);
  }

  #flush(): void {
    if (this.#changes.length === 0) return;
    const message: ToListener = { type: 'tables', number: ++this.#sent, changes: this.#changes };
    this.#changes = [];
    for (const thread of this.#threads.values()) post(thread, message);
  }

  #replica(entry: FunctionEntry): FunctionReplica {
    const { namespace, name, uid, resourceVersion, limits, startTimeoutMs, state } = entry;
    return {
      namespace,
      name,
      uid,
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      limits,
      ...(startTimeoutMs === undefined ? {} : { startTimeoutMs }),
      slot: this.slots.of(`${namespace}/${name}`),
      state:
        state.phase === 'ready'
          ? {
              phase: 'ready',
              threadKey: state.invoker.threadKey ?? null,
              upgrades: state.invoker.upgrades === true,
            }
          : state.phase === 'refused'
            ? { phase: 'refused', error: toErrorData(state.error) }
            : state,
    };
  }

  #receive(thread: ListenerThread, message: FromListener): void {
    switch (message.type) {
      case 'applied':
        thread.applied = message.number;
        this.#settle();
        return;
      case 'drained':
        thread.drained();
        return;
      case 'warmed-up':
        thread.warmedUp();
        return;
      case 'measured':
        thread.measuring.get(message.number)?.(message.metrics);
        return;
      case 'log':
        this.#options.logs.append({ ...message.line, stream: 'platform' });
        return;
      case 'call':
        thread.calls.receive(message.message);
        return;
      default:
        message satisfies never;
    }
  }

  #appliedByAll(): number {
    let least = this.#sent;
    for (const { applied } of this.#threads.values()) least = Math.min(least, applied);
    return least;
  }

  #settle(): void {
    const applied = this.#appliedByAll();
    const settled = this.#waiting.filter(({ number }) => number <= applied);
    if (settled.length === 0) return;
    this.#waiting = this.#waiting.filter(({ number }) => number > applied);
    for (const { resolve } of settled) resolve();
  }

  #invokerOf(key: string): Invoker {
    const [namespace = '', name = ''] = key.split('/');
    const entry = this.#options.functions.get(namespace, name);
    if (entry?.state.phase === 'ready') return entry.state.invoker;
    throw new FissiumError('FUNCTION_NOT_READY', `Function ${key} is being replaced. Try again.`);
  }

  /** The registries of all threads, those that were lost with what they last said. */
  async #measure(): Promise<unknown[]> {
    const number = this.#nextMeasure++;
    const answers = [...this.#threads.values()].map(async (thread) => {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      const timer = setTimeout(() => resolve(thread.measured), MEASURE_MS);
      thread.measuring.set(number, resolve);
      post(thread, { type: 'measure', number });
      thread.measured = await promise;
      clearTimeout(timer);
      thread.measuring.delete(number);
      return thread.measured;
    });
    const measured = await Promise.all(answers);
    return [...this.#lostMetrics, ...measured.filter((metrics) => metrics !== null)];
  }
}

/** What a thread counted stays true when it is gone; what it had at a time does not. */
function countersOf(metrics: unknown): unknown[] {
  return Array.isArray(metrics) ? metrics.filter(({ type }: { type?: unknown }) => type !== 'gauge') : [];
}

/** Moves a connection, of which nothing was read, to the thread. */
function hand({ port }: ListenerThread, type: 'socket' | 'warm-up-socket', socket: Socket): void {
  // The DOM's declaration of MessagePort, which stands beside Node's, knows no sockets.
  port.postMessage({ type, socket } satisfies ToListener, [socket] as unknown as Transferable[]);
}

function post({ port }: ListenerThread, message: ToListener, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
