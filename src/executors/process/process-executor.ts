/** Runs functions of container environments as local processes, where there is no Kubernetes. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, homedir, tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Logger } from 'pino';

import { FissiumError } from '../../errors.ts';
import type { Invoker } from '../executor.ts';
import { placeCode } from './code-folder.ts';
import { FunctionProcesses } from './function-processes.ts';
import { requireRuntime, type RuntimeName } from './images.ts';
import type { Launch } from './launch.ts';
import { findPython } from './python.ts';
import { RuntimeProcess, type Specialization } from './runtime-process.ts';

export interface ProcessExecutorOptions {
  /** Where code and the processes' own folders lie; emptied at the start. */
  readonly folder: string;
  readonly logger: Logger;
  /** Where what is installed on first use is kept. @default `~/.cache/fissium` */
  readonly cacheFolder?: string;
  /** @default `python3` on the PATH */
  readonly python?: string;
  /** Processes of all functions together. @default 64 */
  readonly maxProcesses?: number;
  /** Processes of one function, whatever its `concurrency`. @default 4 × cores, at least 8 */
  readonly maxProcessesPerFunction?: number;
  /** Generic processes kept ready for each runtime that is in use. @default 1 */
  readonly spares?: number;
  /** How long a process may take to finish once it is told to end. @default 10000 */
  readonly graceMs?: number;
  /** How long a call that nobody waits for may go on before its process is ended. @default 5000 */
  readonly abandonedMs?: number;
}

/** A file that a function finds below the folder named by `FISSIUM_FILES`: `secrets/<namespace>/<name>/<key>`. */
export interface ProcessFile {
  readonly path: string;
  readonly content: Uint8Array;
}

export interface ProcessSpec {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly image: string;
  /** Fission's environment interface, 1 to 3. */
  readonly envVersion: number;
  /** The archive as a local file: a zip, or the one file that is the code. */
  readonly archivePath: string;
  /** `module.function`; '' for the runtime's default. */
  readonly entrypoint: string;
  /** Whether an entry point that is not there stands for none. */
  readonly entrypointOptional: boolean;
  readonly env: readonly (readonly [name: string, value: string])[];
  /** Secrets and config maps. */
  readonly files?: readonly ProcessFile[];
  /** Resident memory of one process; null for no limit. */
  readonly memoryBytes: number | null;
  /** Processes at most (Fission's `concurrency`). */
  readonly concurrency: number;
  readonly requestsPerPod: number;
  readonly idleTimeoutMs: number;
  /** Longest start of a process, the loading of the user's code included (`SpecializationTimeout`). @default 120000 */
  readonly startTimeoutMs?: number;
  readonly onLog: (line: {
    readonly requestId: string;
    readonly stream: 'stdout' | 'stderr' | 'platform';
    readonly line: string;
  }) => void;
}

/** A function whose code loads. */
export interface DeployedProcessFunction extends Invoker {
  /** Takes no more calls, waits for those in flight, then ends the processes and removes the code. */
  close(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
const SPECIALIZATION_TIMEOUT_MS = 120_000;
/** A socket's path has at most 107 bytes, 11 of them our own. */
const SOCKET_FOLDER_LIMIT = 90;
const RUNTIMES = fileURLToPath(new URL('../../../runtimes/', import.meta.url));

export class ProcessExecutor {
  readonly #options: ProcessExecutorOptions;
  readonly #logger: Logger;
  readonly #functions = new Set<FunctionProcesses>();
  readonly #processes = new Set<RuntimeProcess>();
  readonly #spares = new Map<RuntimeName, Promise<RuntimeProcess>[]>();
  readonly #launches = new Map<RuntimeName, Promise<Launch>>();
  readonly #startQueue: (() => void)[] = [];
  /** Processes that are being started and are not in `#processes` yet. */
  #reserved = 0;
  #startsNow = 0;
  #folders: Promise<{ code: string; processes: string }> | null = null;
  #closed = false;

  constructor(options: ProcessExecutorOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ component: 'process-executor' });
  }

  /**
   * Serves a function; resolves when its code is loaded in a first process.
   * @throws FissiumError ENVIRONMENT_NOT_SERVED (no local runtime for the image), ARCHIVE_REFUSED, FUNCTION_FAILED
   *   (the code cannot be loaded; the message is the runtime's), DEADLINE_EXCEEDED (not within `startTimeoutMs`)
   */
  async deploy(spec: ProcessSpec): Promise<DeployedProcessFunction> {
    const runtime = requireRuntime(spec.image);
    const launch = await this.#launch(runtime);
    const { code } = await this.#prepareFolders();
    const folder = join(code, randomUUID());
    try {
      const codePath = await placeCode(spec.archivePath, folder);
      const env = await placeFiles(folder, spec);
      const wanted = specializationOf(spec, codePath, env);
      return await this.#serve(spec, runtime, launch, wanted, folder);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Ends every process. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#functions].map((fn) => fn.close()));
    const spares = [...this.#spares.values()].flat();
    this.#spares.clear();
    await Promise.all(
      spares.map((spare) =>
        spare.then(
          (process) => process.kill(),
          () => {},
        ),
      ),
    );
    await Promise.all([...this.#processes].map((process) => process.stop()));
    const folders = await this.#folders;
    if (folders === null) return;
    await rm(folders.code, { recursive: true, force: true });
    await rm(folders.processes, { recursive: true, force: true });
  }

  async #serve(
    spec: ProcessSpec,
    runtime: RuntimeName,
    launch: Launch,
    wanted: Specialization,
    folder: string,
  ): Promise<DeployedProcessFunction> {
    const { maxProcessesPerFunction = Math.max(8, 4 * availableParallelism()), abandonedMs = 5000 } =
      this.#options;
    const start = (): Promise<RuntimeProcess> => this.#startSpecialized(runtime, launch, wanted);
    const processes = new FunctionProcesses({
      label: `${spec.namespace}/${spec.name}`,
      requestsPerPod: spec.requestsPerPod,
      maxProcesses: Math.min(spec.concurrency, maxProcessesPerFunction),
      idleTimeoutMs: spec.idleTimeoutMs,
      startTimeoutMs: spec.startTimeoutMs ?? SPECIALIZATION_TIMEOUT_MS,
      abandonedMs,
      start: () => (this.#hasRoom() ? start() : null),
      logger: this.#logger,
    });
    // The first is started whether there is room or not: nothing else tells whether the code loads.
    this.#hasRoom();
    processes.adopt(await start());
    this.#functions.add(processes);
    return {
      upgrades: processes.upgrades,
      invoke: (request) => processes.invoke(request),
      close: async () => {
        await processes.close();
        this.#functions.delete(processes);
        await rm(folder, { recursive: true, force: true });
      },
    };
  }

  /** Whether another process may be started; makes room where a process of some function is idle. */
  #hasRoom(): boolean {
    const { maxProcesses = 64 } = this.#options;
    if (this.#processes.size + this.#reserved < maxProcesses) return true;
    for (const fn of this.#functions) if (fn.yieldIdle()) return true;
    return false;
  }

  async #startSpecialized(
    runtime: RuntimeName,
    launch: Launch,
    wanted: Specialization,
  ): Promise<RuntimeProcess> {
    if (this.#closed) throw new FissiumError('SHUTTING_DOWN', 'The platform is shutting down.');
    this.#reserved += 1;
    let isReserved = true;
    const settle = (): void => {
      if (isReserved) this.#reserved -= 1;
      isReserved = false;
    };
    try {
      return await this.#inTurn(async () => {
        const process = await this.#generic(runtime, launch);
        settle();
        this.#processes.add(process);
        void process.ended.then(() => this.#onEnded(process));
        try {
          await process.specialize(wanted);
        } catch (error) {
          await process.kill();
          throw error;
        }
        this.#refill(runtime, launch);
        return process;
      });
    } finally {
      settle();
    }
  }

  #onEnded(process: RuntimeProcess): void {
    this.#processes.delete(process);
    for (const fn of this.#functions) fn.poke();
  }

  /** A spare one, or a new one. */
  async #generic(runtime: RuntimeName, launch: Launch): Promise<RuntimeProcess> {
    const spares = this.#spares.get(runtime) ?? [];
    for (let spare = spares.shift(); spare !== undefined; spare = spares.shift()) {
      const process = await spare.catch(() => null);
      if (process?.isAlive === true) return process;
    }
    return this.#start(launch);
  }

  async #start(launch: Launch): Promise<RuntimeProcess> {
    const { graceMs = 10_000 } = this.#options;
    const { processes } = await this.#prepareFolders();
    return RuntimeProcess.start({ launch, folder: processes, graceMs, startTimeoutMs: START_TIMEOUT_MS });
  }

  #refill(runtime: RuntimeName, launch: Launch): void {
    const { spares: wanted = 1 } = this.#options;
    if (this.#closed) return;
    const spares = this.#spares.get(runtime) ?? [];
    this.#spares.set(runtime, spares);
    while (spares.length < wanted) {
      const spare = this.#start(launch);
      spare.catch((error: unknown) => {
        this.#logger.warn({ err: error, runtime }, 'a spare process could not be started');
        const at = spares.indexOf(spare);
        if (at !== -1) void spares.splice(at, 1);
      });
      spares.push(spare);
    }
  }

  /** Starting costs CPU: more at once than there are cores makes all of them late. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#startsNow >= Math.max(2, availableParallelism())) {
      await new Promise<void>((resolve) => {
        this.#startQueue.push(resolve);
      });
    } else this.#startsNow += 1;
    try {
      return await work();
    } finally {
      const next = this.#startQueue.shift();
      if (next === undefined) this.#startsNow -= 1;
      else next();
    }
  }

  #launch(runtime: RuntimeName): Promise<Launch> {
    let launch = this.#launches.get(runtime);
    if (launch === undefined) {
      launch = runtime === 'python' ? this.#pythonLaunch() : Promise.resolve(nodeLaunch());
      this.#launches.set(runtime, launch);
      // Tried again for the next function: Python may have been installed meanwhile.
      launch.catch(() => this.#launches.delete(runtime));
    }
    return launch;
  }

  async #pythonLaunch(): Promise<Launch> {
    const { python, cacheFolder = join(homedir(), '.cache', 'fissium') } = this.#options;
    const folder = join(RUNTIMES, 'python');
    const command = await findPython({
      cacheFolder,
      requirementsPath: join(folder, 'requirements.txt'),
      ...(python === undefined ? {} : { interpreter: python }),
    });
    return { command, args: [join(folder, 'server.py')] };
  }

  #prepareFolders(): Promise<{ code: string; processes: string }> {
    this.#folders ??= (async () => {
      const { folder } = this.#options;
      await rm(folder, { recursive: true, force: true });
      const code = join(folder, 'code');
      await mkdir(code, { recursive: true, mode: 0o700 });
      const near = join(folder, 'p');
      const isShort = Buffer.byteLength(near) <= SOCKET_FOLDER_LIMIT;
      const processes = isShort ? near : await mkdtemp(join(tmpdir(), 'fissium-'));
      await mkdir(processes, { recursive: true, mode: 0o700 });
      return { code, processes };
    })();
    return this.#folders;
  }
}

function nodeLaunch(): Launch {
  const server = join(RUNTIMES, 'node', `server${extname(import.meta.filename)}`);
  return { command: process.execPath, args: [server] };
}

async function placeFiles(folder: string, spec: ProcessSpec): Promise<ProcessSpec['env']> {
  const { env, files = [] } = spec;
  if (files.length === 0) return env;
  const base = join(folder, 'files');
  for (const { path, content } of files) {
    const target = join(base, path);
    if (!target.startsWith(`${base}/`)) {
      throw new FissiumError(
        'RESOURCE_INVALID',
        `The file ${JSON.stringify(path)} would lie outside its folder.`,
      );
    }
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await writeFile(target, content, { mode: 0o600 });
  }
  return [['FISSIUM_FILES', base], ...env];
}

function specializationOf(spec: ProcessSpec, codePath: string, env: ProcessSpec['env']): Specialization {
  const { namespace, name, uid, entrypoint, entrypointOptional, envVersion, memoryBytes, requestsPerPod } =
    spec;
  return {
    namespace,
    name,
    uid,
    codePath,
    entrypoint,
    entrypointOptional,
    envVersion,
    env,
    memoryBytes,
    requestsPerPod,
    timeoutMs: spec.startTimeoutMs ?? SPECIALIZATION_TIMEOUT_MS,
    onLine: (stream, { requestId, line }) => spec.onLog({ requestId, stream, line }),
  };
}

/** The same for two functions' deployments that would run alike: code, entry point, environment, limits. */
export function deployKeyOf(spec: Omit<ProcessSpec, 'onLog'>, archiveDigest: string): string {
  const { files = [], ...rest } = spec;
  const shown = files.map(({ path, content }) => [path, Buffer.from(content).toString('base64')]);
  return createHash('sha256')
    .update(JSON.stringify([archiveDigest, { ...rest, archivePath: '' }, shown]))
    .digest('hex');
}
