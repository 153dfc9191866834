/** The main thread's side of preparing: one thread on demand, one package at a time, once per digest. */
import { extname, join } from 'node:path';
import type { Piscina } from 'piscina';
import type { Logger } from 'pino';
import { FissiumError, fromErrorData } from '../../../src/errors.ts';
import type { PreparedManifest } from '../engine.ts';
import { entryFolder, readEntry, removeLeftovers } from './cache.ts';
import type { ComponentEngine, PrepareJob } from './job.ts';
import type { PrepareOutcome } from './prepare.worker.ts';
import { stepsWithout, type RewriteStep } from './steps.ts';

export interface PreparerOptions {
  /** Where prepared packages are kept; made if it is not there. One process at a time may own it. */
  readonly cacheDir: string;
  readonly logger: Logger;
  /** Which engine components go to: ours where it takes them, or always jco's, to compare. @default 'component' */
  readonly componentEngine?: ComponentEngine;
  /** What is not done to core modules, to compare or to do without it. @default none */
  readonly without?: readonly RewriteStep[];
  /** How long one package may take, its thread's start included, ms. @default 60_000 */
  readonly timeoutMs?: number;
  /** Heap of the prepare thread, MiB. @default 1024 */
  readonly memoryMb?: number;
  /** How long the thread stays after its last package, ms. @default 30_000 */
  readonly idleTimeoutMs?: number;
}

export interface PreparedPackage {
  readonly manifest: PreparedManifest;
  /** The cache folder with the manifest's files. */
  readonly folder: string;
}

const DIGEST = /^[0-9a-f]{64}$/;

export class Preparer {
  readonly #cacheDir: string;
  readonly #componentEngine: ComponentEngine;
  readonly #without: readonly RewriteStep[];
  readonly #logger: Logger;
  readonly #timeoutMs: number;
  readonly #memoryMb: number;
  readonly #idleTimeoutMs: number;
  readonly #packages = new Map<string, Promise<PreparedPackage>>();
  readonly #closing = new AbortController();
  #pool: Piscina<PrepareJob, PrepareOutcome> | null = null;
  #ready: Promise<void> | null = null;
  /** Packages wait here for the thread, so that the time limit counts from their own start. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: PreparerOptions) {
    this.#componentEngine = options.componentEngine ?? 'component';
    this.#without = [...new Set(options.without)].toSorted();
    // What one engine was given is not what the other can use, and so with the rest that is told here.
    const kind = [
      ...(this.#componentEngine === 'jco' ? ['jco'] : []),
      ...this.#without.map((step) => `no-${step}`),
    ];
    this.#cacheDir = join(options.cacheDir, kind.join('-'));
    this.#logger = options.logger.child({ component: 'prepare' });
    this.#timeoutMs = options.timeoutMs ?? 60_000;
    this.#memoryMb = options.memoryMb ?? 1024;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 30_000;
  }

  /**
   * Prepares a package, or finds it prepared. Calls for one digest share one preparation; a failed one is
   * tried anew by the next call.
   * @param source the package's bytes or the path of a file that holds them
   * @param digest sha256 of the package, hex, lower case
   * @throws FissiumError PACKAGE_REFUSED with the reason and what is supported; PREPARE_TIMEOUT; STORAGE_FULL;
   * SHUTTING_DOWN after {@link close}
   */
  prepare(source: Uint8Array | string, digest: string): Promise<PreparedPackage> {
    const known = this.#packages.get(digest);
    if (known) return known;
    const started = this.#prepare(source, digest);
    this.#packages.set(digest, started);
    started.catch(() => this.#packages.delete(digest));
    return started;
  }

  /** Whether {@link prepare} would find it prepared. */
  async has(digest: string): Promise<boolean> {
    return this.#packages.has(digest) || (await readEntry(this.#cacheDir, digest)) !== null;
  }

  /** Forgets a package that no function uses any more; its files stay and are found again. */
  forget(digest: string): void {
    this.#packages.delete(digest);
  }

  /** Ends the thread; what is still being prepared fails with SHUTTING_DOWN. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#pool?.destroy();
    this.#pool = null;
  }

  async #prepare(source: Uint8Array | string, digest: string): Promise<PreparedPackage> {
    if (!DIGEST.test(digest)) throw new FissiumError('INTERNAL', `${digest} is no sha256 in lower-case hex`);
    this.#ready ??= removeLeftovers(this.#cacheDir);
    await this.#ready;
    const folder = entryFolder(this.#cacheDir, digest);
    const cached = await readEntry(this.#cacheDir, digest);
    if (cached) return { manifest: cached, folder };
    const turn = this.#queue.then(() =>
      this.#run({
        source,
        digest,
        cacheDir: this.#cacheDir,
        componentEngine: this.#componentEngine,
        steps: stepsWithout(this.#without),
      }),
    );
    this.#queue = turn.catch(() => undefined);
    return { manifest: await turn, folder };
  }

  async #run(job: PrepareJob): Promise<PreparedManifest> {
    if (this.#closing.signal.aborted) throw shuttingDown();
    const startedAt = performance.now();
    const logger = this.#logger.child({ digest: job.digest });
    try {
      const outcome = await this.#runInThread(job);
      if ('error' in outcome) throw fromErrorData(outcome.error);
      logger.info({ durationMs: Math.round(performance.now() - startedAt) }, 'package prepared');
      return outcome.manifest;
    } catch (error) {
      if (this.#closing.signal.aborted) throw shuttingDown();
      logger.info({ err: error }, 'package not prepared');
      throw error;
    }
  }

  /** @throws FissiumError where the thread ended instead of answering */
  async #runInThread(job: PrepareJob): Promise<PrepareOutcome> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), this.#timeoutMs);
    const pool = await this.#startedPool();
    // A thread that dies before it has taken its task is an event of the pool's, not the task's failure.
    const died = Promise.withResolvers<never>();
    pool.once('error', died.reject);
    try {
      const signal = AbortSignal.any([timeout.signal, this.#closing.signal]);
      return await Promise.race([pool.run(job, { signal }), died.promise]);
    } catch (error) {
      // Whatever state its thread is in, the next package gets a new one.
      this.#pool = null;
      await pool.destroy();
      throw timeout.signal.aborted ? this.#tookTooLong(error) : this.#failure(error);
    } finally {
      clearTimeout(timer);
      pool.off('error', died.reject);
    }
  }

  async #startedPool(): Promise<Piscina<PrepareJob, PrepareOutcome>> {
    if (this.#pool) return this.#pool;
    // Most starts find everything prepared.
    const { Piscina: Pool } = await import('piscina');
    const pool = new Pool<PrepareJob, PrepareOutcome>({
      filename: new URL(`./prepare.worker${extname(import.meta.filename)}`, import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: this.#idleTimeoutMs,
      resourceLimits: { maxOldGenerationSizeMb: this.#memoryMb },
      atomics: 'disabled',
      env: {},
      recordTiming: false,
    });
    // A thread that dies while it is idle is an event as well, which nobody else listens to.
    pool.on('error', (error: Error) => this.#logger.warn({ err: error }, 'prepare thread ended'));
    this.#pool = pool;
    return pool;
  }

  #tookTooLong(cause: unknown): FissiumError {
    return new FissiumError(
      'PREPARE_TIMEOUT',
      `the package could not be prepared in ${this.#timeoutMs / 1000} s: it is too large or too complicated`,
      { cause },
    );
  }

  #failure(error: unknown): unknown {
    const text =
      error instanceof Error ? `${(error as NodeJS.ErrnoException).code ?? ''} ${error.message}` : '';
    if (!/OUT_OF_MEMORY|memory/i.test(text)) return error;
    return new FissiumError(
      'PACKAGE_REFUSED',
      `the package needs more than ${this.#memoryMb} MiB of memory to be prepared: it is too large or too complicated`,
      { cause: error },
    );
  }
}

function shuttingDown(): FissiumError {
  return new FissiumError(
    'SHUTTING_DOWN',
    'the platform is shutting down; the package will be prepared at its next start',
  );
}
