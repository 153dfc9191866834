/**
 * One engine in one process, without the platform around it: prepares a component, specialises it, and makes and asks
 * an instance again and again. Started by `run.ts`; its last line on stdout is an {@link EngineMeasurement} in JSON.
 *
 * Usage: measure.ts component|jco FILE.wasm WARM-UP-MS COUNT
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ControlBlock } from '../../runtimes/wasm/control.ts';
import type {
  Deployment,
  EngineRuntime,
  InvocationContext,
  PreparedManifest,
  Turn,
} from '../../runtimes/wasm/engine.ts';
import { ModuleCache, sizeOf } from '../../runtimes/wasm/module-cache.ts';
import { entryFolder } from '../../runtimes/wasm/prepare/cache.ts';
import { runPrepareJob } from '../../runtimes/wasm/prepare/job.ts';
import { Turns } from '../../runtimes/wasm/turns.worker.ts';
import { CallAbort } from '../../src/executors/call-abort.ts';
import { callOnce } from './call.ts';

export interface EngineMeasurement {
  readonly engine: 'component' | 'jco';
  /** Once per package: linking or transpiling, the checks written into the code, and the cache entry on disk, ms. */
  readonly prepareMs: number;
  /** Once per process: compiling the core modules, ms. */
  readonly compileMs: number;
  /** Once per thread: from the prepared files to something that takes calls, ms. */
  readonly specialiseMs: number;
  /** The first instance and its answer, ms. */
  readonly firstMs: number;
  /** Instantiate and answer, µs, one after the other, after the warm-up. */
  readonly eachUs: readonly number[];
}

const MEMORY_BYTES = 128 * 2 ** 20;
const BODY = 'Hello, world!\n';

interface Prepared {
  readonly manifest: PreparedManifest;
  readonly folder: string;
  readonly prepareMs: number;
}

async function prepare(name: 'component' | 'jco', wasm: Uint8Array, cacheDir: string): Promise<Prepared> {
  const digest = createHash('sha256').update(wasm).digest('hex');
  const startedAt = performance.now();
  const manifest = await runPrepareJob({ source: wasm, digest, cacheDir, componentEngine: name });
  const prepareMs = performance.now() - startedAt;
  if (manifest.engine !== name)
    throw new Error(`${name} was asked for, but ${manifest.engine} takes it: ${manifest.reason}`);
  return { manifest, folder: entryFolder(cacheDir, digest), prepareMs };
}

async function engineOf(name: 'component' | 'jco'): Promise<EngineRuntime> {
  return name === 'component'
    ? (await import('../../runtimes/wasm/component/component-engine.worker.ts')).componentEngine
    : (await import('../../runtimes/wasm/jco/jco-engine.worker.ts')).jcoEngine;
}

const [name, file = '', warmUpMs = '0', count = '1'] = process.argv.slice(2);
if (name !== 'component' && name !== 'jco')
  throw new TypeError('usage: measure.ts component|jco FILE.wasm WARM-UP-MS COUNT');
const cacheDir = await mkdtemp(join(tmpdir(), 'fissium-bench-engine-'));
try {
  const engine = await engineOf(name);
  const { manifest, folder, prepareMs } = await prepare(name, await readFile(file), cacheDir);

  const compileStart = performance.now();
  const modules = await new ModuleCache().load('bench', manifest, folder, MEMORY_BYTES);
  const compileMs = performance.now() - compileStart;

  const deployment: Deployment = {
    key: 'bench',
    namespace: 'default',
    name: 'bench',
    manifest,
    folder,
    modules,
    codeBytes: sizeOf(manifest),
    grants: { env: [], args: [], allowedOutboundHosts: [] },
    limits: { memoryBytes: MEMORY_BYTES, cpuTimeMs: 10_000, bodyLimitBytes: 2 ** 20 },
  };
  const control = new ControlBlock();
  const turns = new Turns(control);
  const specialiseStart = performance.now();
  const specialised = await engine.specialise(deployment, { memory: control.memory, yield: turns.yield });
  const specialiseMs = performance.now() - specialiseStart;

  const once = async (): Promise<number> => {
    let status = 0;
    let chunks: Uint8Array[] = [];
    const contextOf = (turn: Turn): InvocationContext => ({
      request: {
        id: 'bench',
        method: 'GET',
        scheme: 'http',
        authority: 'localhost',
        pathWithQuery: '/hello',
        headers: [['host', 'localhost']],
        body: null,
      },
      response: {
        head: (code) => {
          status = code;
          chunks = [];
        },
        write: (chunk) => {
          chunks.push(chunk.slice());
          return undefined;
        },
        end: () => {},
      },
      log: () => {},
      signal: new CallAbort(),
      turn,
      receipt: null,
    });
    const startedAt = performance.now();
    await callOnce(specialised, turns, contextOf);
    const tookMs = performance.now() - startedAt;
    // An engine that answers wrongly is not fast.
    const text = Buffer.concat(chunks).toString();
    if (status !== 200 || text.length === 0)
      throw new Error(`the guest answered ${status} ${JSON.stringify(text)}`);
    if (text !== BODY && process.env['FISSIUM_BENCH_ANY_BODY'] === undefined) {
      throw new Error(`the guest answered ${JSON.stringify(text)}, not ${JSON.stringify(BODY)}`);
    }
    return tookMs;
  };
  const firstMs = await once();
  /** As between requests: other things get their turn, and what is garbage may be collected. */
  const pause = (i: number): unknown => i % 16 === 15 && new Promise((resolve) => setImmediate(resolve));
  const warmAt = performance.now() + Number(warmUpMs);
  for (let i = 0; performance.now() < warmAt; i++) {
    await once();
    await pause(i);
  }
  const eachUs: number[] = [];
  for (let i = 0; i < Number(count); i++) {
    eachUs.push((await once()) * 1000);
    await pause(i);
  }
  specialised.close();
  const measured: EngineMeasurement = { engine: name, prepareMs, compileMs, specialiseMs, firstMs, eachUs };
  process.stdout.write(`${JSON.stringify(measured)}\n`);
} finally {
  await rm(cacheDir, { recursive: true, force: true });
}
