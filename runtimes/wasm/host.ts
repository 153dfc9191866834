/**
 * The Wasm host: which functions there are, and which threads run them. Lives in the main thread; guests run only
 * in threads of two kinds. Listener threads run what can be interrupted, for their own connections and for whoever
 * calls `invoke` here; executor threads, started when the first function needs them, run the rest.
 */
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import type { Logger } from 'pino';
import { FissiumError } from '../../src/errors.ts';
import type { InvokeRequest, Invoker, StreamedResponse } from '../../src/executors/executor.ts';
import type { Deployment, GuestGrants, GuestLimits, PreparedManifest } from './engine.ts';
import type { ExecutorThread } from './executor-thread.ts';
import { ModuleCache, sizeOf } from './module-cache.ts';
import { SharedLimits, type Caps, type Held } from './pool/shared-limits.ts';
import { systemCaps } from './pool/system-limits.ts';
import { validateLimits } from './prepare/limits.ts';
import { ThreadGroup, type ListenerHooks } from './thread-group.ts';
import { weighGuestMemory } from './v8-flags.ts';
import { Watchdog } from './watchdog.ts';

export type { ListenerHooks };

/** Compiled code that a thread may hold, as bytes of Wasm: some thousand small functions, or fifteen JavaScript engines. */
const CODE_BYTES = 192 * 1024 * 1024;

export interface WasmHostOptions {
  /** Threads of each kind. @default the number of cores */
  readonly threads?: number;
  /** Compiled code that each thread may hold, bytes of Wasm. @default 192 MiB */
  readonly codeBytes?: number;
  /** What all instances together may hold. @default what the system allows */
  readonly caps?: Caps;
  readonly logger: Logger;
  /** Gives listener threads their connections. @default none: they run only what they are sent */
  readonly listeners?: ListenerHooks;
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

/** A function that can be called. */
export interface DeployedFunction extends Invoker {
  /** Its name in every listener thread, which run it themselves; null where only `invoke` does. */
  readonly threadKey: string | null;
  invoke(request: InvokeRequest): Promise<StreamedResponse>;
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
  /** Memories that exist, and their bytes. */
  readonly held: Held;
}

type ThreadKind = 'listener' | 'executor';

interface Deployed {
  readonly key: string;
  readonly spec: DeploySpec;
  readonly kind: ThreadKind;
  readonly group: ThreadGroup;
  readonly codeBytes: number;
  /** Threads that have it. */
  readonly holders: Set<ExecutorThread>;
  instances: number;
}

export class WasmHost {
  readonly #logger: Logger;
  readonly #threads: number;
  readonly #codeBytes: number;
  readonly #limits: SharedLimits;
  readonly #listeners: ThreadGroup;
  #executors: ThreadGroup | null = null;
  readonly #functions = new Map<string, Deployed>();
  readonly #modules = new ModuleCache();
  readonly #watchdog: Watchdog;
  #nextKey = 1;

  /** Starts the threads; resolves when all of them take calls. */
  static async start(options: WasmHostOptions): Promise<WasmHost> {
    const host = new WasmHost(options);
    await host.ready();
    return host;
  }

  /** Starts the threads and does not wait: what is deployed meanwhile they take when they are there. */
  static launch(options: WasmHostOptions): WasmHost {
    return new WasmHost(options);
  }

  /** Resolves when all listener threads take calls. */
  ready(): Promise<void> {
    return this.#listeners.ready();
  }

  private constructor(options: WasmHostOptions) {
    this.#logger = options.logger.child({ component: 'wasm-host' });
    this.#threads = options.threads ?? availableParallelism();
    this.#codeBytes = options.codeBytes ?? CODE_BYTES;
    this.#limits = SharedLimits.create(options.caps ?? systemCaps());
    this.#watchdog = new Watchdog(
      () => this.#allThreads(),
      () => weighGuestMemory(this.#limits.mostBytes()),
    );
    this.#listeners = this.#group('listener', options.listeners ?? null);
  }

  /**
   * Makes a function callable. Every thread has it when this resolves, unless their room for compiled code is
   * taken: then it is compiled at its first call.
   * @throws FissiumError PACKAGE_REFUSED where the memory limit does not fit, or what specialising found
   */
  async deploy(spec: DeploySpec): Promise<DeployedFunction> {
    const { manifest, limits } = spec;
    validateLimits(manifest, limits);
    const key = `${spec.namespace}/${spec.name}#${this.#nextKey++}`;
    const kind = runsInListeners(manifest) ? 'listener' : 'executor';
    const group = kind === 'listener' ? this.#listeners : (this.#executors ??= this.#group('executor', null));
    const codeBytes = sizeOf(manifest);
    const deployed: Deployed = { key, spec, kind, group, codeBytes, holders: new Set(), instances: 0 };
    this.#functions.set(key, deployed);
    const fits = this.#modules.heldBytes + codeBytes <= this.#codeBytes;
    if (fits || this.#modules.has(manifest, limits.memoryBytes)) {
      try {
        await this.#specialise(deployed);
      } catch (error) {
        this.#drop(deployed);
        throw error;
      }
    }
    let open = true;
    let drained: () => void = () => {};
    return {
      threadKey: kind === 'listener' ? key : null,
      invoke: (request) => {
        if (!open) {
          const message = 'this version of the function is being replaced';
          return Promise.reject(new FissiumError('FUNCTION_NOT_READY', message));
        }
        deployed.instances++;
        const log = (stream: 'stdout' | 'stderr', lines: readonly string[]): void => {
          for (const line of lines) spec.onLog({ requestId: request.id, stream, line });
        };
        return group.invoke(key, request, log, () => {
          if (--deployed.instances === 0) drained();
        });
      },
      close: async () => {
        open = false;
        if (deployed.instances > 0) await new Promise<void>((resolve) => (drained = resolve));
        this.#drop(deployed);
      },
    };
  }

  /** How many calls there are now of functions that have any, those of listener threads' own connections aside. */
  *instances(): Iterable<{ namespace: string; name: string; instances: number }> {
    for (const { spec, instances } of this.#functions.values())
      if (instances > 0) yield { namespace: spec.namespace, name: spec.name, instances };
  }

  stats(): HostStats {
    const groups = this.#groups();
    let inFlight = 0;
    let threads = 0;
    for (const thread of this.#allThreads()) {
      inFlight += thread.load;
      threads++;
    }
    return {
      threads,
      inFlight,
      queued: groups.reduce((sum, { queued }) => sum + queued, 0),
      functions: this.#functions.size,
      threadsReplaced: groups.reduce((sum, { replaced }) => sum + replaced, 0),
      held: this.#limits.held(),
    };
  }

  /** Ends every thread at once, as a fault in one would; others take their places. */
  terminateThreads(): void {
    for (const group of this.#groups()) group.terminateAll();
  }

  /** Ends the threads; calls that are still in flight fail. Drain the router first. */
  async close(): Promise<void> {
    this.#watchdog.close();
    await Promise.all(this.#groups().map((group) => group.close()));
  }

  #groups(): ThreadGroup[] {
    return this.#executors ? [this.#listeners, this.#executors] : [this.#listeners];
  }

  *#allThreads(): Iterable<ExecutorThread> {
    for (const group of this.#groups()) yield* group.threads;
  }

  #group(kind: ThreadKind, listeners: ListenerHooks | null): ThreadGroup {
    return new ThreadGroup({
      file: new URL(`./${kind}.worker${extname(import.meta.filename)}`, import.meta.url),
      threads: this.#threads,
      codeBytes: this.#codeBytes,
      limits: this.#limits,
      logger: this.#logger,
      listeners,
      functions: () => this.#heldBy(kind),
      busy: () => this.#watchdog.wake(),
      needs: (thread, key) => void this.#bring(thread, key),
      gaveUp: (thread, key) => this.#gaveUp(thread, key),
      logged: (key, requestId, stream, lines) => {
        const onLog = this.#functions.get(key)?.spec.onLog;
        for (const line of lines) onLog?.({ requestId, stream, line });
      },
    });
  }

  /** What a new thread of a group gets at once: what the others have. */
  *#heldBy(kind: ThreadKind): Iterable<Promise<Deployment>> {
    for (const deployed of this.#functions.values())
      if (deployed.kind === kind && deployed.holders.size > 0) yield this.#deployment(deployed);
  }

  async #specialise(deployed: Deployed): Promise<void> {
    const deployment = await this.#deployment(deployed);
    for (const thread of deployed.group.threads) deployed.holders.add(thread);
    await deployed.group.specialise(deployment);
  }

  async #deployment({ key, spec, codeBytes }: Deployed): Promise<Deployment> {
    const { namespace, name, manifest, folder, grants, limits } = spec;
    const modules = await this.#modules.load(key, manifest, folder, limits.memoryBytes);
    return { key, namespace, name, manifest, folder, grants, limits, modules, codeBytes };
  }

  /** Brings a function to a thread that has calls for it. */
  async #bring(thread: ExecutorThread, key: string): Promise<void> {
    try {
      const deployed = this.#functions.get(key);
      if (!deployed) {
        throw new FissiumError('FUNCTION_NOT_READY', 'this version of the function was replaced');
      }
      const deployment = await this.#deployment(deployed);
      deployed.holders.add(thread);
      await thread.specialise(deployment);
    } catch (error) {
      if (thread.alive) thread.refuse(key, error);
    }
  }

  #gaveUp(thread: ExecutorThread, key: string): void {
    const deployed = this.#functions.get(key);
    if (!deployed) return;
    deployed.holders.delete(thread);
    for (const holder of deployed.holders) if (holder.alive) return;
    this.#modules.release(key);
  }

  #drop(deployed: Deployed): void {
    if (!this.#functions.delete(deployed.key)) return;
    this.#modules.release(deployed.key);
    deployed.group.drop(deployed.key);
  }
}

/** Only code that can be interrupted runs where connections are served. */
function runsInListeners({ engine, modules }: PreparedManifest): boolean {
  return engine === 'component' && modules.every(({ interruptible }) => interruptible);
}
