/**
 * The contract that every Wasm engine implements. An engine has two halves that never meet in one thread:
 * `prepare` runs once per package in the prepare thread, and `specialise` runs in each executor thread.
 */
import type { CallSignal, HeaderList } from '../../src/executors/executor.ts';
import type { InstanceLife } from './pool/index.ts';
import type { WantedMemory } from './rewrite/index.ts';
import type { YieldFunction } from './yield.worker.ts';

export type EngineName = 'component' | 'jco' | 'p1';

/** What prepare wrote for one digest: `manifest.json` in the package's cache folder. */
export interface PreparedManifest {
  /** Changes whenever prepare would write something else for the same bytes; part of the cache key. */
  readonly prepareVersion: number;
  readonly engine: EngineName;
  /** Why this engine and not another, for the Package's status. */
  readonly reason: string;
  /** sha256 of the .wasm that was deployed, hex. */
  readonly digest: string;
  /** The export that answers requests, e.g. `wasi:http/incoming-handler@0.2.12` or `_start`. */
  readonly entry: string;
  /** Imported interfaces with their versions, e.g. `wasi:io/streams@0.2.12`. */
  readonly imports: readonly string[];
  /** Core modules, by the name under which the generated code asks for them, as files beside the manifest. */
  readonly modules: readonly PreparedModule[];
  /** The linking plan beside the manifest (engine component). */
  readonly plan?: string;
  /** Engines component and p1: why each request needs a new instance; null where instances are reset in place. */
  readonly resetBlocker?: string | null;
  /** Engine component: why its core modules stay apart; null where there is one. */
  readonly mergeBlocker?: string | null;
  /** Engine p1: what its instances are made with. */
  readonly command?: CommandPlan;
  /** The generated ES module beside the manifest (engine jco). */
  readonly script?: string;
}

export interface CommandPlan {
  /** The addresses that a reset cleans without being told that the host wrote to others; null for all. */
  readonly window: { readonly from: number; readonly to: number } | null;
  /** The memory that the host makes for it; null where it has its own, or none. */
  readonly memory: WantedMemory | null;
}

export interface PreparedModule {
  readonly name: string;
  readonly file: string;
  /** Size of the file. */
  readonly bytes: number;
  /** Initial size of its memory (an imported one of another module's not counted), in 64 KiB pages; absent where it has none. */
  readonly initialPages?: number;
  /** The host makes this memory: the module then serves every memory limit. */
  readonly importsMemory?: boolean;
  /** It has a memory with 64-bit addresses, whose growth is not checked (see `rewrite/grow-check.ts`). */
  readonly growsUnchecked?: boolean;
  /** Whether the interruption check was written into it (see `rewrite/interrupt.ts`). */
  readonly interruptible: boolean;
}

/** What one function may use; the same for every thread. */
export interface GuestGrants {
  /** Environment variables, all of them. */
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly args: readonly string[];
  /** `spec.wasm.allowedOutboundHosts`, as written. */
  readonly allowedOutboundHosts: readonly string[];
  /** For `wasi:config/store`, in order: of several values of a name the last one counts. @default none */
  readonly config?: readonly (readonly [name: string, value: string])[];
  /** What the guest finds below `/`, read-only; where two sets have the same path, the later one counts. @default none */
  readonly files?: readonly GuestFileSet[];
}

/** Files that guests may read: their contents one after the other, in memory that all threads share. */
export interface GuestFileSet {
  /** Names the contents and their paths: the same for the same. */
  readonly digest: string;
  readonly bytes: SharedArrayBuffer;
  readonly entries: readonly GuestFileEntry[];
}

export interface GuestFileEntry {
  /** From the root, without a slash before it: `templates/index.html`. Folders are those that paths name. */
  readonly path: string;
  /** Where it begins in the set's bytes. */
  readonly offset: number;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}

export interface GuestLimits {
  readonly memoryBytes: number;
  /** CPU time of one request, milliseconds; time suspended does not count. */
  readonly cpuTimeMs: number;
  /** The function's part of a thread's time beside others that compute for long, in proportion. @default 0.1 */
  readonly cpuWeight?: number;
  /** Largest request body that an engine may buffer (p1 only), bytes. */
  readonly bodyLimitBytes: number;
  /** How long instances live. @default a clean one for each request */
  readonly instance?: InstanceLife;
}

/** A function as an executor thread gets it. Compiled modules are shared between threads, not compiled again. */
export interface Deployment {
  /** Unique for each version of a function that was ever deployed in this process. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly manifest: PreparedManifest;
  /** The package's cache folder. */
  readonly folder: string;
  readonly modules: ReadonlyMap<string, WebAssembly.Module>;
  /** Size of the modules, bytes of Wasm: a measure of what they hold once compiled. */
  readonly codeBytes: number;
  readonly grants: GuestGrants;
  readonly limits: GuestLimits;
}

/** The request as a guest sees it; the body is pulled, chunk by chunk, only as the guest reads. */
export interface GuestRequest {
  readonly id: string;
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly pathWithQuery: string;
  readonly headers: HeaderList;
  /** Null where the request has no body. */
  readonly body: GuestBodySource | null;
}

/** A body on its way to the guest. */
export interface GuestBodySource {
  /** The next chunk, or null at the end: at once where it is there. Rejects when the sender went away. */
  read(): Uint8Array | null | Promise<Uint8Array | null>;
  /** Told, once, of each chunk that nobody reads any more. */
  release?(chunk: Uint8Array): void;
  /** Trailers; only after `read` gave null. */
  trailers(): Promise<HeaderList>;
  /** The guest will read no more. */
  cancel(): void;
}

/** Where the guest's answer goes. Everything is ordered; a second head is refused by the WASI host. */
export interface GuestResponseSink {
  head(status: number, headers: HeaderList): void;
  /**
   * Takes a copy of the chunk, which may be a view of guest memory. Resolves when more may be written, undefined where
   * that is now: back-pressure reaches the guest through this.
   */
  write(chunk: Uint8Array): Promise<void> | undefined;
  /** The whole body is written. */
  end(trailers: HeaderList): void;
}

/** One line (or part of one) that a guest wrote. */
export type GuestLog = (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void;

export type GuestSignal = CallSignal;

/** What one invocation took inside the engine, filled in while it runs; durations in milliseconds. */
export interface EngineReceipt {
  /**
   * What the request found: an instance that was reset or never used (`ready`), one that had to be made (`new`),
   * or one that keeps its state between requests (`reused`).
   */
  instance: 'ready' | 'new' | 'reused';
  /** Making the instance; 0 where one was there. */
  instantiateMs: number;
  /** The guest's own code: its turns without what its host functions took. */
  guestMs: number;
  /** Inside host functions, waiting not counted. */
  hostMs: number;
  /** Suspended, waiting for something. */
  waitingMs: number;
  /** The most that its memories were together, bytes. */
  peakMemoryBytes: number;
}

export interface InvocationContext {
  readonly request: GuestRequest;
  readonly response: GuestResponseSink;
  readonly log: GuestLog;
  /** Aborted when nobody waits any more. The engine then ends the guest at its next suspension or check. */
  readonly signal: GuestSignal;
  /** Accounts CPU time and serialises guests of one thread; see `turns.worker.ts`. */
  readonly turn: Turn;
  /** Where the engine writes down what the invocation took; null where nobody asked: then nothing is measured. */
  readonly receipt: EngineReceipt | null;
  /** Called where an instance has to be made for this request. */
  readonly onColdStart?: () => void;
  /**
   * Only for {@link Specialised.handleAtOnce}. Until it is called, which is once the guest has returned with a whole
   * answer, nothing of the invocation may be seen from outside: it can still be given up, and run again.
   */
  readonly commit?: () => void;
}

/**
 * The right to execute guest code in this thread, held by one invocation at a time. A guest that waits gives
 * its turn back first and takes it again before it goes on, so that the watchdog charges CPU time to exactly
 * the guest that runs.
 */
export interface Turn {
  /** Names this life of an instance in the interruption word; never 0, never reused in this thread. */
  readonly life: number;
  /** CPU time that was charged up to the last release, µs; where it is known. */
  readonly usedUs?: number;
  /** Whether the guest was refused memory because the process has none left for guests. */
  readonly outOfRoom?: boolean;
  /** Whether the guest was made to give way to others. */
  readonly gaveWay?: boolean;
  /** Takes the turn if nobody has it; false where it has to be waited for. */
  takeNow?(): boolean;
  /** Waits for the turn. Call before entering the guest and before resuming it. */
  take(): Promise<void>;
  /** Gives the turn back. Call when the guest suspends, returns or traps. */
  release(): void;
  /**
   * Whether the guest that holds this turn could be suspended where it is, which it cannot below a frame of
   * JavaScript's. The engine sets it before it calls a guest through `WebAssembly.promising`, and must answer
   * false while the host calls the guest in any other way. Unset, a guest is never made to give way.
   */
  suspendable: () => boolean;
}

/** A function in one executor thread. */
export interface Specialised {
  /** Runs one request to its end. Rejects with a FissiumError when the guest fails. */
  handle(context: InvocationContext): Promise<void>;
  /** Whether the next request is to be tried with {@link handleAtOnce} first. @default false */
  readonly atOnce?: boolean;
  /** Whether such a request was a matter of microseconds lately. @default false */
  readonly short?: boolean;
  /**
   * Runs one request to its end before it returns, the guest on the caller's own stack: for functions that answer
   * without waiting for anything. The turn must be held; afterwards it is given back. False where this one wanted to
   * wait, or to do what cannot be taken back, or failed: then nothing of it has been seen, and it is to be run by
   * {@link handle}, with a context of its own.
   */
  handleAtOnce?(context: InvocationContext): boolean;
  close(): void;
}

/** The executor-thread half of an engine. */
export interface EngineRuntime {
  readonly name: EngineName;
  specialise(deployment: Deployment, control: InterruptControl): Promise<Specialised>;
}

/** What rewritten modules import as `fissium`: see `rewrite/interrupt.ts` and `control.ts`. */
export interface InterruptControl {
  /** The thread's control block. */
  readonly memory: WebAssembly.Memory;
  /** What a guest calls where it is asked to give way. */
  readonly yield: YieldFunction;
}
