/** Threads of one kind, and the calls that wait for one of them. Lives in the main thread. */
import { Worker, type Transferable as NodeTransferable } from 'node:worker_threads';
import type { Logger } from 'pino';
import { FissiumError } from '../../src/errors.ts';
import type { InvokeRequest, StreamedResponse } from '../../src/executors/executor.ts';
import type { ListenerStart } from '../../src/router/threads/protocol.ts';
import type { Deployment } from './engine.ts';
import { ExecutorThread } from './executor-thread.ts';
import type { SharedLimits } from './pool/shared-limits.ts';
import type { ExecutorStart } from './protocol.ts';
import { setV8Flags } from './v8-flags.ts';

/** Calls sent to a thread whose guest is not entered yet: enough to keep it busy, few enough to lose no time behind a slow one. */
const MAX_UNSTARTED = 2;
/** A guest that holds its thread for this long does not give way when it is asked: nothing more is sent there, ms. */
const STUCK_AFTER_MS = 100;
/** Instances that one thread may hold, running and suspended; further calls wait in the host. */
const MAX_CALLS_PER_THREAD = 1000;
const MIN_RESTART_DELAY_MS = 100;
const HEAP_MB = 1024;
/** How long threads that are told to end may take for it, ms. */
const CLOSE_LIMIT_MS = 2000;

/** Listener threads have something to serve beside the calls that they are sent. */
export interface ListenerHooks {
  /** What a new thread is to start with; `id` names it in the other hooks. */
  starting(id: number): ListenerStart;
  /** The thread has its functions: it can be given connections. */
  serving(id: number): void;
  lost(id: number): void;
}

export interface ThreadGroupOptions {
  readonly file: URL;
  readonly threads: number;
  /** How much compiled code each thread may hold, as bytes of Wasm. */
  readonly codeBytes: number;
  /** What all threads of all groups may hold together. */
  readonly limits: SharedLimits;
  readonly logger: Logger;
  readonly listeners: ListenerHooks | null;
  /** The functions that a thread in the place of a lost one gets before it takes calls. */
  readonly functions: () => Iterable<Promise<Deployment>>;
  readonly busy: () => void;
  readonly needs: (thread: ExecutorThread, key: string) => void;
  readonly gaveUp: (thread: ExecutorThread, key: string) => void;
  readonly logged: (
    key: string,
    requestId: string,
    stream: 'stdout' | 'stderr',
    lines: readonly string[],
  ) => void;
}

interface Waiting {
  readonly start: (thread: ExecutorThread) => void;
  readonly fail: (error: FissiumError) => void;
}

export class ThreadGroup {
  readonly threads = new Set<ExecutorThread>();
  replaced = 0;
  readonly #options: ThreadGroupOptions;
  /** Threads that have not got every function yet. */
  readonly #starting = new Set<ExecutorThread>();
  readonly #queue: Waiting[] = [];
  #nextId = 1;
  #closing = false;

  constructor(options: ThreadGroupOptions) {
    this.#options = options;
    setV8Flags();
    for (let i = 0; i < options.threads; i++) this.#start();
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** Resolves when all threads take calls. */
  async ready(): Promise<void> {
    await Promise.all([...this.threads].map((thread) => thread.ready));
  }

  /** Gives a function to every thread. Rejects with what the first of them found. */
  async specialise(deployment: Deployment): Promise<void> {
    await Promise.all(
      [...this.threads].map(async (thread) => {
        try {
          await thread.specialise(deployment);
        } catch (error) {
          // A thread that died meanwhile gets every function again when it is replaced.
          if (thread.alive) throw error;
        }
      }),
    );
  }

  drop(key: string): void {
    for (const thread of this.threads) thread.drop(key);
  }

  /** Runs a call in the thread with the least to do, as soon as one has room. */
  invoke(
    key: string,
    request: InvokeRequest,
    onLog: (stream: 'stdout' | 'stderr', lines: readonly string[]) => void,
    onDone: () => void,
  ): Promise<StreamedResponse> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        start: (thread) => {
          request.signal.removeEventListener('abort', onAbort);
          thread.invoke(key, request, onLog, onDone).then(resolve, reject);
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
      this.#options.busy();
      this.dispatch();
    });
  }

  /** Hands waiting calls to threads that can take them. */
  readonly dispatch = (): void => {
    while (this.#queue.length > 0) {
      const thread = this.#pick();
      if (!thread) return;
      this.#queue.shift()?.start(thread);
    }
  };

  /** Ends every thread at once, as a fault in one would; others take their places. */
  terminateAll(): void {
    for (const thread of this.threads) thread.terminate();
  }

  /** Ends the threads; calls that are still in flight fail. */
  async close(): Promise<void> {
    this.#closing = true;
    const error = new FissiumError('SHUTTING_DOWN', 'the platform is shutting down');
    for (const waiting of this.#queue.splice(0)) waiting.fail(error);
    const threads = [...this.threads];
    for (const thread of threads) thread.close();
    const limit = setTimeout(() => this.terminateAll(), CLOSE_LIMIT_MS);
    await Promise.all(threads.map((thread) => thread.gone));
    clearTimeout(limit);
  }

  /** The thread with the fewest calls among those that can take one soon, or none. */
  #pick(): ExecutorThread | null {
    let best: ExecutorThread | null = null;
    for (const thread of this.threads) {
      if (!thread.alive || this.#starting.has(thread)) continue;
      if (thread.unstarted >= MAX_UNSTARTED || thread.load >= MAX_CALLS_PER_THREAD) continue;
      if (thread.running().heldMs > STUCK_AFTER_MS) continue;
      if (!best || thread.load < best.load) best = thread;
    }
    return best;
  }

  #start(): void {
    const { busy, needs, gaveUp, logged, listeners, codeBytes, limits, logger } = this.#options;
    const startedAt = performance.now();
    const id = this.#nextId++;
    const listener = listeners?.starting(id) ?? null;
    const share = limits.open();
    const thread = new ExecutorThread(
      (start, signal) => this.#run(start, signal),
      {
        changed: this.dispatch,
        busy,
        needs,
        gaveUp,
        logged,
        lost: (lost, error) => {
          this.threads.delete(lost);
          limits.close(share);
          listeners?.lost(id);
          if (this.#closing) return;
          this.replaced++;
          logger.warn({ err: error }, 'a thread that runs functions ended and is replaced');
          // A thread that cannot even start is tried again, but not in a tight loop.
          const delay = performance.now() - startedAt < 1000 ? MIN_RESTART_DELAY_MS : 0;
          setTimeout(() => {
            if (!this.#closing) this.#start();
          }, delay);
        },
      },
      { codeBytes, limits: share, listener },
    );
    this.threads.add(thread);
    this.#starting.add(thread);
    void this.#equip(thread).then(() => {
      this.#starting.delete(thread);
      if (!thread.alive) return;
      listeners?.serving(id);
      this.dispatch();
    });
  }

  /** A thread takes calls once it has what the others have. */
  async #equip(thread: ExecutorThread): Promise<void> {
    const functions = [...this.#options.functions()].map(async (coming) => {
      try {
        await thread.specialise(await coming);
      } catch (err) {
        if (thread.alive) this.#options.logger.error({ err }, 'a new thread could not take a function');
      }
    });
    await Promise.all([thread.ready.catch(() => undefined), ...functions]);
  }

  /** Runs a thread to its end. Rejects where it did not end by itself. */
  #run(start: ExecutorStart, signal: AbortSignal): Promise<void> {
    const ports: unknown[] = [start.port, ...(start.listener ? [start.listener.port] : [])];
    const worker = new Worker(this.#options.file, {
      workerData: start,
      transferList: ports as NodeTransferable[],
      // A guest gets no environment variable of ours, not even by a fault in an engine.
      env: {},
      // What a guest can make V8 hold outside its memory (exceptions that hold exceptions) ends its thread,
      // which is replaced; without a bound it would end the process.
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    return new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', (code) => {
        if (signal.aborted) reject(new Error('the thread was ended', { cause: signal.reason }));
        else if (code !== 0) reject(new Error(`the thread ended with code ${code}`));
        else resolve();
      });
      signal.addEventListener('abort', () => void worker.terminate(), { once: true });
    });
  }
}
