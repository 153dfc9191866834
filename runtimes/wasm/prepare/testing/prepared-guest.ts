/** A package prepared and run as in an executor thread, without the thread: for tests and measurements. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { componentEngine } from '../../component/component-engine.worker.ts';
import { ControlBlock } from '../../control.ts';
import type { Deployment, PreparedManifest, Specialised } from '../../engine.ts';
import { ModuleCache } from '../../module-cache.ts';
import { Turns } from '../../turns.worker.ts';
import { LIMITS, MemorySink } from '../../wasi/testing/memory-invocation.ts';
import { runPrepareJob } from '../job.ts';
import type { PrepareSteps } from '../steps.ts';

export class PreparedGuest {
  readonly manifest: PreparedManifest;
  readonly #deployment: Deployment;
  readonly #control = new ControlBlock();
  readonly #turns = new Turns(this.#control);
  #specialised: Specialised | null = null;
  #life = 0;

  /** Prepares a component, with some steps left out. */
  static async of(source: Uint8Array, steps: Partial<PrepareSteps> = {}): Promise<PreparedGuest> {
    const digest = createHash('sha256').update(source).digest('hex');
    const cacheDir = await mkdtemp(join(tmpdir(), 'fissium-guest-'));
    const manifest = await runPrepareJob({ source, digest, cacheDir, steps });
    const folder = join(cacheDir, `${digest}-${manifest.prepareVersion}`);
    return new PreparedGuest({
      key: 'guest',
      namespace: 'default',
      name: 'guest',
      manifest,
      folder,
      modules: await new ModuleCache().load('guest', manifest, folder, LIMITS.memoryBytes),
      codeBytes: 0,
      grants: { env: [], args: [], allowedOutboundHosts: [] },
      limits: LIMITS,
    });
  }

  private constructor(deployment: Deployment) {
    this.manifest = deployment.manifest;
    this.#deployment = deployment;
  }

  /** Forgets all instances; with the next call everything begins anew, but for the compiled code. */
  async restart(): Promise<void> {
    this.#specialised?.close();
    const control = { memory: this.#control.memory, yield: this.#turns.yield };
    this.#specialised = await componentEngine.specialise(this.#deployment, control);
  }

  /** One request's answer. */
  async call(path = '/'): Promise<string> {
    if (!this.#specialised) await this.restart();
    const response = new MemorySink();
    await this.#specialised?.handle({
      request: {
        id: '1',
        method: 'GET',
        scheme: 'http',
        authority: 'test',
        pathWithQuery: path,
        headers: [],
        body: null,
      },
      response,
      log: () => undefined,
      signal: new AbortController().signal,
      turn: this.#turns.for(++this.#life),
      receipt: null,
    });
    return response.text;
  }

  /** The first core module as it was written. */
  async core(): Promise<Buffer> {
    return readFile(join(this.#deployment.folder, this.manifest.modules[0]?.file ?? ''));
  }

  async close(): Promise<void> {
    this.#specialised?.close();
    await rm(join(this.#deployment.folder, '..'), { recursive: true, force: true });
  }
}
