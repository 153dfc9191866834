/**
 * The Wasm host: which functions there are, on which threads they run, and which call goes where. Lives in the
 * main thread; guests run only in executor threads.
 */
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import type { StructuredSerializeOptions } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { Logger } from 'pino';
import { FissiumError } from '../../src/errors.ts';
import type { InvokeRequest, InvokeResponse, Invoker } from '../../src/executors/executor.ts';
import type { Deployment, GuestGrants, GuestLimits, PreparedManifest } from './engine.ts';
import { ExecutorThread } from './executor-thread.ts';
import { ModuleCache } from './module-cache.ts';
import { validateLimits } from './prepare/limits.ts';
import type { ExecutorStart } from './protocol.ts';
import { Watchdog } from './watchdog.ts';

/** Calls sent to a thread whose guest is not entered yet: enough to keep it busy, few enough to lose no time behind a slow one. */
const MAX_UNSTARTED = 2;
/** A guest that holds its thread for this long does not give way when it is asked: nothing more is sent there, ms. */
const STUCK_AFTER_MS = 100;
/** Instances that one thread may hold, running and suspended; further calls wait in the host. */
const MAX_CALLS_PER_THREAD = 1000;
const MIN_RESTART_DELAY_MS = 100;

export interface WasmHostOptions {
  /** Executor threads. @default the number of cores */
  readonly threads?: number;
  readonly logger: Logger;
}

export interface GuestLogLine {
  readonly requestId: string;
  readonly stream: 'stdout' | 'stderr';
  readonly line: string;
}

/** One version of a function, as the control loops hand it over. */
export interface DeploySpec {
  readonly namespace: string;
  readonly name: string;
  readonly manifest: PreparedManifest;
  /** The package's cache folder. */
  readonly folder: string;
  readonly grants: GuestGrants;
  readonly limits: GuestLimits;
  readonly onLog: (line: GuestLogLine) => void;
}

/** A function that every thread serves. */
export interface DeployedFunction extends Invoker {
  /** Takes no more calls, waits for those in flight, then frees what it held. */
  close(): Promise<void>;
}

export interface HostStats {
  readonly threads: number;
  /** Calls that threads hold, begun or not. */
  readonly inFlight: number;
  readonly queued: number;
  readonly functions: number;
  /** Threads that ended and were replaced since the start. */
  readonly threadsReplaced: number;
}

interface Waiting {
  readonly start: (thread: ExecutorThread) => void;
  readonly fail: (error: FissiumError) => void;
}

const EXECUTOR_HEAP_MB = 1024;

export class WasmHost {
  readonly #pool: Piscina<ExecutorStart, void>;
  readonly #logger: Logger;
  readonly #threads = new Set<ExecutorThread>();
  /** Threads that have not got every function yet. */
  readonly #starting = new Set<ExecutorThread>();
  readonly #deployments = new Map<string, Deployment>();
  readonly #usage = new Map<string, { namespace: string; name: string; instances: number }>();
  readonly #modules = new ModuleCache();
  readonly #queue: Waiting[] = [];
  readonly #watchdog: Watchdog;
  #wanted: number;
  #nextKey = 1;
  #replaced = 0;
  #closing = false;

  /** Starts the executor threads; resolves when all of them take calls. */
  static async start(options: WasmHostOptions): Promise<WasmHost> {
    const host = new WasmHost(options);
    for (let i = 0; i < host.#wanted; i++) host.#startThread();
    await Promise.all([...host.#threads].map((thread) => thread.ready));
    return host;
  }

  private constructor(options: WasmHostOptions) {
    this.#logger = options.logger.child({ component: 'wasm-host' });
    this.#wanted = options.threads ?? availableParallelism();
    this.#pool = new Piscina<ExecutorStart, void>({
      filename: new URL(`./executor.worker${extname(import.meta.filename)}`, import.meta.url).href,
      minThreads: this.#wanted,
      maxThreads: this.#wanted,
      // An executor's task stays pending while it listens to its port: it must never block waiting for tasks.
      atomics: 'disabled',
      concurrentTasksPerWorker: 1,
      // A guest gets no environment variable of ours, not even by a fault in an engine.
      env: {},
      // What a guest can make V8 hold outside its memory (exceptions that hold exceptions) ends its thread,
      // which is replaced; without a bound it would end the process.
      resourceLimits: { maxOldGenerationSizeMb: EXECUTOR_HEAP_MB },
      recordTiming: false,
    });
    this.#watchdog = new Watchdog(
      () => this.#threads,
      () => {
        this.#dispatch();
        return this.#queue.length > 0;
      },
    );
  }

  /**
   * Gives a function to every thread.
   * @throws FissiumError PACKAGE_REFUSED where the memory limit does not fit, or what specialising found
   */
  async deploy(spec: DeploySpec): Promise<DeployedFunction> {
    validateLimits(spec.manifest, spec.limits);
    const key = `${spec.namespace}/${spec.name}#${this.#nextKey++}`;
    const { onLog, ...rest } = spec;
    const modules = await this.#modules.load(spec.manifest, spec.folder, spec.limits.memoryBytes);
    const deployment: Deployment = { key, ...rest, modules };
    this.#deployments.set(key, deployment);
    try {
      await this.#specialiseEverywhere(deployment);
    } catch (error) {
      this.#drop(key);
      throw error;
    }
    const usage = { namespace: spec.namespace, name: spec.name, instances: 0 };
    this.#usage.set(key, usage);
    let open = true;
    let drained: () => void = () => {};
    return {
      invoke: (request) => {
        if (!open) {
          const message = 'this version of the function is being replaced';
          return Promise.reject(new FissiumError('FUNCTION_NOT_READY', message));
        }
        usage.instances++;
        return this.#invoke(deployment, request, onLog, () => {
          if (--usage.instances === 0) drained();
        });
      },
      close: async () => {
        open = false;
        if (usage.instances > 0) await new Promise<void>((resolve) => (drained = resolve));
        this.#drop(key);
      },
    };
  }

  /** How many instances there are now of functions that have any. */
  *instances(): Iterable<{ namespace: string; name: string; instances: number }> {
    for (const usage of this.#usage.values()) if (usage.instances > 0) yield usage;
  }

  stats(): HostStats {
    let inFlight = 0;
    for (const thread of this.#threads) inFlight += thread.load;
    return {
      threads: this.#threads.size,
      inFlight,
      queued: this.#queue.length,
      functions: this.#deployments.size,
      threadsReplaced: this.#replaced,
    };
  }

  /** Ends every thread at once, as a fault in one would; others take their places. */
  terminateThreads(): void {
    for (const thread of this.#threads) thread.terminate();
  }

  /** Ends the threads; calls that are still in flight fail. Drain the router first. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#watchdog.close();
    const error = new FissiumError('SHUTTING_DOWN', 'the platform is shutting down');
    for (const waiting of this.#queue.splice(0)) waiting.fail(error);
    const threads = [...this.#threads];
    for (const thread of threads) thread.close();
    await this.#pool.destroy();
    await Promise.all(threads.map((thread) => thread.gone));
  }

  async #specialiseEverywhere(deployment: Deployment): Promise<void> {
    await Promise.all(
      [...this.#threads].map(async (thread) => {
        try {
          await thread.specialise(deployment);
        } catch (error) {
          // A thread that died meanwhile gets every function again when it is replaced.
          if (thread.alive) throw error;
        }
      }),
    );
  }

  #drop(key: string): void {
    const deployment = this.#deployments.get(key);
    if (!deployment) return;
    this.#deployments.delete(key);
    this.#usage.delete(key);
    this.#modules.release(deployment.manifest, deployment.limits.memoryBytes);
    for (const thread of this.#threads) thread.drop(key);
  }

  #invoke(
    deployment: Deployment,
    request: InvokeRequest,
    onLog: DeploySpec['onLog'],
    onDone: () => void,
  ): Promise<InvokeResponse> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        start: (thread) => {
          request.signal.removeEventListener('abort', onAbort);
          const log = (stream: 'stdout' | 'stderr', lines: readonly string[]): void => {
            for (const line of lines) onLog({ requestId: request.id, stream, line });
          };
          thread.invoke(deployment, request, log, onDone).then(resolve, reject);
        },
        fail: (error) => {
          request.signal.removeEventListener('abort', onAbort);
          onDone();
          reject(error);
        },
      };
      const onAbort = (): void => {
        const at = this.#queue.indexOf(waiting);
        if (at < 0) return;
        this.#queue.splice(at, 1);
        waiting.fail(new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more'));
      };
      request.signal.addEventListener('abort', onAbort, { once: true });
      if (request.signal.aborted) {
        waiting.fail(new FissiumError('CLIENT_GONE', 'nobody waits for this answer any more'));
        return;
      }
      this.#queue.push(waiting);
      this.#dispatch();
    });
  }

  /** Hands waiting calls to threads that can take them. */
  #dispatch(): void {
    while (this.#queue.length > 0) {
      this.#watchdog.wake();
      const thread = this.#pick();
      if (!thread) return;
      this.#queue.shift()?.start(thread);
      this.#watchdog.called(thread);
    }
  }

  /** The thread with the fewest calls among those that can take one soon, or none. */
  #pick(): ExecutorThread | null {
    let best: ExecutorThread | null = null;
    for (const thread of this.#threads) {
      if (!thread.alive || this.#starting.has(thread)) continue;
      if (thread.unstarted >= MAX_UNSTARTED || thread.load >= MAX_CALLS_PER_THREAD) continue;
      if (thread.running().heldMs > STUCK_AFTER_MS) continue;
      if (!best || thread.load < best.load) best = thread;
    }
    return best;
  }

  #startThread(): void {
    const startedAt = performance.now();
    const thread = new ExecutorThread((start, signal) => this.#run(start, signal), {
      changed: () => this.#dispatch(),
      lost: (lost, error) => {
        this.#threads.delete(lost);
        if (this.#closing) return;
        this.#replaced++;
        this.#logger.warn({ err: error }, 'an executor thread ended and is replaced');
        // A thread that cannot even start is tried again, but not in a tight loop.
        const delay = performance.now() - startedAt < 1000 ? MIN_RESTART_DELAY_MS : 0;
        setTimeout(() => {
          if (!this.#closing) this.#replace();
        }, delay);
      },
    });
    this.#threads.add(thread);
  }

  /** Starts a thread in the place of a lost one; it takes calls once it has every function. */
  #replace(): void {
    this.#startThread();
    const thread = [...this.#threads].at(-1);
    if (!thread) return;
    this.#starting.add(thread);
    const functions = [...this.#deployments.values()].map(async (deployment) => {
      try {
        await thread.specialise(deployment);
      } catch (err) {
        this.#logger.error({ err, key: deployment.key }, 'a replaced thread could not take a function');
      }
    });
    void Promise.all([thread.ready.catch(() => undefined), ...functions]).then(() => {
      this.#starting.delete(thread);
      this.#dispatch();
    });
  }

  #run(start: ExecutorStart, signal: AbortSignal): Promise<void> {
    // Piscina takes the list's type from MessagePort.postMessage, where the DOM's declaration stands beside Node's.
    const transferList = [start.port] as unknown as StructuredSerializeOptions;
    return this.#pool.run(start, { transferList, signal });
  }
}
