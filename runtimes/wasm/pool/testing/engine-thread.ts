/** The engines as an executor thread has them, in the test's own thread: so a test sees what the thread holds. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FissiumError } from '../../../../src/errors.ts';
import { componentEngine } from '../../component/component-engine.worker.ts';
import type { LinkPlan } from '../../component/index.ts';
import { sharedCodeOf, type SharedCode } from '../../component/shared-code.worker.ts';
import { ControlBlock } from '../../control.ts';
import type {
  EngineReceipt,
  EngineRuntime,
  GuestGrants,
  GuestLimits,
  InvocationContext,
  Specialised,
} from '../../engine.ts';
import { jcoEngine } from '../../jco/jco-engine.worker.ts';
import { ModuleCache } from '../../module-cache.ts';
import { runPrepareJob, type ComponentEngine } from '../../prepare/job.ts';
import { Turns } from '../../turns.worker.ts';
import { MemorySink } from '../../wasi/testing/memory-invocation.ts';
import type { LimitsHandle } from '../shared-limits.ts';
import { threadMemory } from '../thread.ts';

const GUESTS = join(import.meta.dirname, '../../../../test/guests/built');
const MIB = 1024 * 1024;

export interface Answer {
  readonly status: number | null;
  readonly text: string;
  readonly log: string;
  /** The code that it failed with, or null. */
  readonly error: string | null;
  readonly receipt: EngineReceipt;
}

/** Call `close` after the test. */
export class EngineThread {
  readonly #control = new ControlBlock();
  readonly #turns = new Turns(this.#control);
  readonly #interrupt = { memory: this.#control.memory, yield: this.#turns.yield };
  readonly #folder = mkdtempSync(join(tmpdir(), 'fissium-pool-'));
  readonly #functions: Specialised[] = [];
  readonly #modules = new ModuleCache();

  /** Puts this thread under limits: once for a test file, since a thread stays under them. */
  constructor(limits?: LimitsHandle) {
    if (limits) threadMemory.attach(limits, this.#control.memory);
  }

  /** A guest of `test/guests/built`, or any component; gives a function that calls it. */
  async deploy(
    guest: string | Uint8Array,
    limits: Partial<GuestLimits> = {},
    engine: ComponentEngine | 'component without reset' = 'component',
    { namespace = 'default', ...grants }: Partial<GuestGrants> & { readonly namespace?: string } = {},
  ): Promise<(path: string, signal?: AbortSignal, sink?: MemorySink) => Promise<Answer>> {
    const source = typeof guest === 'string' ? new Uint8Array(readFileSync(join(GUESTS, guest))) : guest;
    const digest = createHash('sha256').update(source).digest('hex');
    const cacheDir = join(this.#folder, engine);
    const manifest = await runPrepareJob({
      source,
      digest,
      cacheDir,
      componentEngine: engine === 'jco' ? 'jco' : 'component',
    });
    const folder = join(cacheDir, `${digest}-${manifest.prepareVersion}`);
    if (engine === 'component without reset') {
      const file = join(folder, manifest.plan ?? '');
      const plan = JSON.parse(readFileSync(file, 'utf8')) as LinkPlan;
      writeFileSync(file, JSON.stringify({ ...plan, reset: undefined }));
    }
    const all = { memoryBytes: 64 * MIB, cpuTimeMs: 10_000, bodyLimitBytes: MIB, ...limits };
    const runtime: EngineRuntime = manifest.engine === 'jco' ? jcoEngine : componentEngine;
    const specialised = await runtime.specialise(
      {
        key: String(this.#functions.length),
        namespace,
        name: 'guest',
        manifest,
        folder,
        modules: await this.#modules.load('test', manifest, folder, all.memoryBytes),
        codeBytes: 1,
        grants: { env: [], args: [], allowedOutboundHosts: [], ...grants },
        limits: all,
      },
      this.#interrupt,
    );
    this.#functions.push(specialised);
    return (path, signal, sink) => this.#call(specialised, path, signal, sink);
  }

  /** What its functions of the component engine have together. */
  get shared(): SharedCode {
    return sharedCodeOf(this.#interrupt);
  }

  /** Ends all functions; what they had is gone then. */
  closeFunctions(): void {
    for (const specialised of this.#functions.splice(0)) specialised.close();
  }

  close(): void {
    this.closeFunctions();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #call(
    specialised: Specialised,
    pathWithQuery: string,
    signal = new AbortController().signal,
    response = new MemorySink(),
  ): Promise<Answer> {
    let log = '';
    const receipt: EngineReceipt = {
      instance: 'new',
      instantiateMs: 0,
      guestMs: 0,
      hostMs: 0,
      waitingMs: 0,
      peakMemoryBytes: 0,
    };
    const turn = this.#turns.for(this.#turns.nextLife(), { isAborted: () => signal.aborted });
    const context: InvocationContext = {
      request: {
        id: '1',
        method: 'GET',
        scheme: 'http',
        authority: 'test',
        pathWithQuery,
        headers: [],
        body: null,
      },
      response,
      log: (_, chunk) => (log += Buffer.from(chunk).toString()),
      signal,
      turn,
      receipt,
    };
    let error: string | null = null;
    try {
      await specialised.handle(context);
    } catch (thrown) {
      error = thrown instanceof FissiumError ? thrown.code : String(thrown);
    } finally {
      turn.close();
    }
    return { status: response.status, text: response.text, log, error, receipt };
  }
}
