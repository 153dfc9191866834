/**
 * What a request to a WASI preview 1 command costs in an executor thread: over our own host, which resets one
 * instance, and over @wasmer/wasi with a new instance each time, in processes of their own that take turns.
 * Everything is the product's code, prepare included; only the thread's port is missing.
 *
 *   node bench/micro/commands.ts [command.wasm] [path] [calls]
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mean, quantile } from '../../src/bench/stats.ts';
import { ControlBlock } from '../../runtimes/wasm/control.ts';
import type { InvocationContext } from '../../runtimes/wasm/engine.ts';
import { ModuleCache } from '../../runtimes/wasm/module-cache.ts';
import { p1Engine } from '../../runtimes/wasm/p1/p1.worker.ts';
import { asUnstable } from '../../runtimes/wasm/p1/testing/dialect.ts';
import { runPrepareJob } from '../../runtimes/wasm/prepare/job.ts';
import { Turns } from '../../runtimes/wasm/turns.worker.ts';
import { describeMachine, machineWarnings, ROOT } from '../machine.ts';

const HOSTS = ['own', 'wasmer'] as const;
type Host = (typeof HOSTS)[number];

const ROUNDS = 3;
const MEMORY_BYTES = 128 * 1024 * 1024;
/** Calls between two turns of the event loop: so many requests arrive together under load. */
const BATCH = 10;

/** One host in one process: figures in µs, as JSON. */
async function measure(host: Host, file: string, path: string, calls: number): Promise<void> {
  const original = await readFile(file);
  const source = host === 'own' ? original : await asUnstable(original);
  const digest = createHash('sha256').update(source).digest('hex');
  const cacheDir = await mkdtemp(join(tmpdir(), 'fissium-bench-command-'));
  try {
    const startedMs = performance.now();
    const manifest = await runPrepareJob({ source, digest, cacheDir });
    const prepareMs = performance.now() - startedMs;
    const folder = join(cacheDir, `${digest}-${manifest.prepareVersion}`);
    const modules = await new ModuleCache().load('bench', manifest, folder, MEMORY_BYTES);
    const control = new ControlBlock();
    const turns = new Turns(control);
    const grants = { env: [], args: [], allowedOutboundHosts: [] };
    const limits = { memoryBytes: MEMORY_BYTES, cpuTimeMs: 10_000, bodyLimitBytes: 2 ** 20 };
    const names = { key: 'bench', namespace: 'default', name: 'bench', codeBytes: 0 };
    const specialised = await p1Engine.specialise(
      { ...names, manifest, folder, modules, grants, limits },
      { memory: control.memory, yield: turns.yield },
    );
    let life = 0;
    const once = async (): Promise<number> => {
      let status = 0;
      const turn = turns.for(++life);
      const context: InvocationContext = {
        request: {
          id: 'bench',
          method: 'GET',
          scheme: 'http',
          authority: 'localhost',
          pathWithQuery: path,
          headers: [['host', 'localhost']],
          body: null,
        },
        response: { head: (code) => (status = code), write: () => undefined, end: () => undefined },
        log: () => undefined,
        signal: new AbortController().signal,
        turn,
        receipt: null,
      };
      const beganMs = performance.now();
      await specialised.handle(context);
      const tookMs = performance.now() - beganMs;
      turn.close();
      if (status !== 200) throw new Error(`the command answered ${status} to ${path}`);
      return tookMs * 1000;
    };
    for (let i = 0; i < calls / 4; i++) await once();
    const eachUs: number[] = [];
    for (let i = 0; i < calls; i++) {
      eachUs.push(await once());
      if (i % BATCH === BATCH - 1) await new Promise((resolve) => setImmediate(resolve));
    }
    const figures = {
      p50: quantile(eachUs, 0.5),
      mean: mean(eachUs),
      p99: quantile(eachUs, 0.99),
      prepareMs,
    };
    process.stdout.write(`${JSON.stringify(figures)}\n`);
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
}

async function compare(file: string, path: string, calls: number): Promise<void> {
  const machine = await describeMachine();
  for (const warning of machineWarnings(machine)) process.stdout.write(`${warning}\n`);
  process.stdout.write(`${file} ${path}, ${calls} calls a round, µs\n`);
  for (let round = 0; round < ROUNDS; round++) {
    for (const host of round % 2 === 0 ? HOSTS : HOSTS.toReversed()) {
      const output = execFileSync(process.execPath, [import.meta.filename, file, path, String(calls), host], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      process.stdout.write(`${host.padEnd(8)}${output}`);
    }
  }
}

const [file = join(ROOT, 'test/guests/built/cgi.wasm'), path = '/hello', calls = '2000', host] =
  process.argv.slice(2);
if (host === 'own' || host === 'wasmer') {
  await measure(host, file, path, Number(calls));
  process.exit(0);
}
await compare(file, path, Number(calls));
