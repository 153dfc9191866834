/** One process of a local runtime, from its start to its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import type { Pool } from 'undici';

import { FissiumError } from '../../errors.ts';
import { environmentOf, type Launch, LIFELINE_FD, wrap } from './launch.ts';
import { LogLines, type ProcessLine } from './log-lines.ts';
import { residentBytes } from './memory.ts';

export interface RuntimeProcessOptions {
  readonly launch: Launch;
  /** Folder in which the process's own is made. */
  readonly folder: string;
  readonly graceMs: number;
  readonly startTimeoutMs: number;
}

/** What a process is to become. */
export interface Specialization {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly codePath: string;
  readonly entrypoint: string;
  readonly entrypointOptional: boolean;
  readonly envVersion: number;
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly memoryBytes: number | null;
  readonly requestsPerPod: number;
  readonly timeoutMs: number;
  readonly onLine: (stream: 'stdout' | 'stderr' | 'platform', line: ProcessLine) => void;
}

const READY = /^listening on /;
const MEMORY_CHECK_MS = 250;
/** Of what a process wrote before it ended, for the message that says so. */
const LAST_LINES = 5;
const THREADS = 32;

export class RuntimeProcess {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #socketPath: string;
  readonly #graceMs: number;
  readonly #ended: Promise<void>;
  readonly #lastLines: string[] = [];
  #ready: () => void = () => {};
  #onLine: Specialization['onLine'] | null = null;
  #pool: Pool | null = null;
  #memoryTimer: NodeJS.Timeout | null = null;
  #memoryLimit: number | null = null;
  #outOfMemory = false;
  #end: string | null = null;
  #stopping: Promise<void> | null = null;

  /** Starts a generic process; resolves when it listens. @throws FissiumError FUNCTION_FAILED */
  static async start(options: RuntimeProcessOptions): Promise<RuntimeProcess> {
    // Short: a socket's path has at most 107 bytes.
    const folder = join(options.folder, randomUUID().slice(0, 8));
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const started = new RuntimeProcess(options, folder);
    try {
      await started.#whenReady(options.startTimeoutMs);
    } catch (error) {
      await started.kill();
      throw error;
    }
    return started;
  }

  private constructor({ launch, graceMs }: RuntimeProcessOptions, folder: string) {
    this.#folder = folder;
    this.#graceMs = graceMs;
    this.#socketPath = join(folder, 's');
    const { command, args } = wrap(launch);
    const stdio: ('ignore' | 'pipe')[] = ['ignore', 'pipe', 'pipe'];
    stdio[LIFELINE_FD] = 'pipe';
    this.#child = spawn(command, args, {
      cwd: folder,
      env: environmentOf({ folder, socketPath: this.#socketPath, graceMs, threads: THREADS }),
      stdio,
      // Its own group, so that it ends with whatever it started.
      detached: true,
    });
    this.#listen('stdout', this.#child.stdout);
    this.#listen('stderr', this.#child.stderr);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#child.once('error', (error) => {
      this.#end ??= `could not be started: ${error.message}`;
      resolve();
    });
    // With its output read to the end.
    this.#child.once('close', (code, signal) => {
      this.#end ??= signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
      resolve();
    });
    this.#ended = promise.then(() => this.#cleanUp());
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The connections to it, once it is specialised. */
  get pool(): Pool {
    if (this.#pool === null) throw new Error('the process is generic');
    return this.#pool;
  }

  get isAlive(): boolean {
    return this.#end === null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when the process is gone and its folder with it. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Why a call that it had has no answer. */
  async failure(): Promise<FissiumError> {
    // A broken connection is seen before the exit that broke it.
    await Promise.race([this.#ended, delay(1000, undefined, { ref: false })]);
    if (this.#outOfMemory) {
      return new FissiumError(
        'GUEST_OUT_OF_MEMORY',
        `The function's process used more memory than its limit of ${mebibytes(this.#memoryLimit ?? 0)} MiB and was ended. Raise spec.resources.limits.memory.`,
      );
    }
    if (this.isAlive) {
      return new FissiumError(
        'GUEST_TRAPPED',
        "The function's process broke the connection off. See its log.",
      );
    }
    return new FissiumError(
      'GUEST_EXITED',
      `The function's process ${this.#end ?? 'ended'} while it had the request.`,
    );
  }

  /**
   * Loads the user's code.
   *
   * @throws FissiumError FUNCTION_FAILED with what the runtime said; DEADLINE_EXCEEDED where that took too long, as
   *   the router says it of a call that waits for it, whose clock runs out at the same time
   */
  async specialize(wanted: Specialization): Promise<void> {
    const { namespace, name, uid } = wanted;
    this.#onLine = wanted.onLine;
    this.#lastLines.length = 0;
    this.#watchMemory(wanted);
    // Only where processes run functions: it is a large library.
    const { Pool: ConnectionPool } = await import('undici');
    this.#pool = new ConnectionPool('http://localhost', {
      socketPath: this.#socketPath,
      connections: wanted.requestsPerPod,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const body = {
      filepath: wanted.codePath,
      functionName: wanted.entrypoint,
      functionNameOptional: wanted.entrypointOptional,
      url: '',
      FunctionMetadata: { name, namespace, uid },
      envVersion: wanted.envVersion,
      env: Object.fromEntries(wanted.env),
    };
    const signal = AbortSignal.timeout(wanted.timeoutMs);
    let said: string;
    try {
      const answer = await this.#pool.request({
        path: '/v2/specialize',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal,
      });
      const text = await answer.body.text();
      if (answer.statusCode < 300) return;
      said = text.trim().slice(0, 2000);
    } catch {
      if (signal.aborted) {
        throw new FissiumError(
          'DEADLINE_EXCEEDED',
          `Function ${namespace}/${name} was not started in time (SpecializationTimeout): its code had not loaded after ${wanted.timeoutMs / 1000} s.`,
        );
      }
      said = `${(await this.failure()).message} ${this.#lastLines.join(' | ')}`.trim();
    }
    throw new FissiumError(
      'FUNCTION_FAILED',
      `The code of function ${namespace}/${name} cannot be loaded: ${said}`,
    );
  }

  /** Lets it finish what it has, at most for its grace, then ends it. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    if (this.isAlive) this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#killGroup(), this.#graceMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Ends it with whatever it started, now. */
  async kill(): Promise<void> {
    this.#killGroup();
    await this.#ended;
  }

  #killGroup(): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // There is nothing left of it.
    }
  }

  async #whenReady(timeoutMs: number): Promise<void> {
    const { promise: listening, resolve } = Promise.withResolvers<void>();
    this.#ready = resolve;
    const outcome = await Promise.race([
      listening.then(() => 'ready'),
      this.#ended.then(() => 'ended'),
      delay(timeoutMs, 'late', { ref: false }),
    ]);
    if (outcome === 'ready') return;
    const why = outcome === 'late' ? `did not listen within ${timeoutMs / 1000} s` : (this.#end ?? 'ended');
    throw new FissiumError(
      'FUNCTION_FAILED',
      `A local runtime ${why}: ${this.#lastLines.join(' | ') || 'it wrote nothing'}`,
    );
  }

  #listen(name: 'stdout' | 'stderr', stream: Readable | null): void {
    const lines = new LogLines((line) => {
      if (this.#onLine === null && READY.test(line.line)) {
        this.#ready();
        return;
      }
      this.#lastLines.push(line.line);
      if (this.#lastLines.length > LAST_LINES) this.#lastLines.shift();
      this.#onLine?.(name, line);
    });
    stream?.on('data', (chunk: Uint8Array) => lines.push(chunk));
    stream?.on('close', () => lines.end());
  }

  #watchMemory({ memoryBytes, onLine }: Specialization): void {
    const { pid } = this.#child;
    if (memoryBytes === null || pid === undefined) return;
    this.#memoryLimit = memoryBytes;
    const check = async (): Promise<void> => {
      const used = await residentBytes(pid);
      if (used === null || used <= memoryBytes || !this.isAlive) return;
      this.#outOfMemory = true;
      onLine('platform', {
        requestId: '',
        line: `The process was ended: it used ${mebibytes(used)} MiB of memory, over its limit of ${mebibytes(memoryBytes)} MiB.`,
      });
      this.#killGroup();
    };
    this.#memoryTimer = setInterval(() => void check(), MEMORY_CHECK_MS).unref();
  }

  async #cleanUp(): Promise<void> {
    if (this.#memoryTimer !== null) clearInterval(this.#memoryTimer);
    // What it started and left behind.
    this.#killGroup();
    await this.#pool?.destroy();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
