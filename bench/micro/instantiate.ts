/**
 * What a clean instance and its answer cost in an executor thread: our engine with its reset, our engine with a
 * new instance each time, and jco's engine, on the same component, in processes of their own that take turns.
 * Everything is the product's code, prepare included; only the thread's port is missing.
 *
 *   node bench/micro/instantiate.ts [component.wasm] [path]
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ControlBlock } from '../../runtimes/wasm/control.ts';
import type { Deployment, EngineRuntime, GuestResponseSink } from '../../runtimes/wasm/engine.ts';
import { ModuleCache } from '../../runtimes/wasm/module-cache.ts';
import { runPrepareJob } from '../../runtimes/wasm/prepare/job.ts';
import { Turns } from '../../runtimes/wasm/turns.worker.ts';
import { CallAbort } from '../../src/executors/call-abort.ts';
import { callOnce } from '../engines/call.ts';
import { describeMachine, machineWarnings, ROOT } from '../machine.ts';
import { mean, quantile } from '../../src/bench/stats.ts';

const VARIANTS = ['reset', 'resetApart', 'new', 'newApart', 'jco'] as const;
type Variant = (typeof VARIANTS)[number];

const ROUNDS = 3;
const CALLS: Readonly<Record<Variant, number>> = {
  reset: 100_000,
  resetApart: 20_000,
  new: 6000,
  newApart: 6000,
  jco: 4000,
};
const WARM_UP: Readonly<Record<Variant, number>> = {
  reset: 20_000,
  resetApart: 5000,
  new: 1000,
  newApart: 1000,
  jco: 1000,
};
const MEMORY_BYTES = 128 * 1024 * 1024;
/** Calls between two turns of the event loop: so many requests arrive together under load. */
const BATCH = 10;

interface Figures {
  readonly p50: number;
  readonly mean: number;
  readonly p99: number;
}

async function deployment(variant: Variant, source: string, folder: string): Promise<Deployment> {
  const digest = createHash('sha256').update(readFileSync(source)).digest('hex');
  const componentEngine = variant === 'jco' ? 'jco' : 'component';
  const manifest = await runPrepareJob({
    source,
    digest,
    cacheDir: folder,
    componentEngine,
    steps: { merge: !variant.endsWith('Apart') },
  });
  const entry = join(folder, `${digest}-${manifest.prepareVersion}`);
  if (variant.startsWith('new')) {
    const file = join(entry, manifest.plan ?? '');
    const plan = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...plan, reset: undefined, ahead: true }));
  }
  return {
    key: variant,
    namespace: 'bench',
    name: variant,
    manifest,
    folder: entry,
    modules: await new ModuleCache().load(variant, manifest, entry, MEMORY_BYTES),
    codeBytes: 0,
    grants: { env: [], args: [], allowedOutboundHosts: [] },
    limits: { memoryBytes: MEMORY_BYTES, cpuTimeMs: 10_000, bodyLimitBytes: 1 << 28 },
  };
}

class Sink implements GuestResponseSink {
  status = 0;
  ended = false;

  head(status: number): void {
    this.status = status;
  }

  write(): undefined {
    return undefined;
  }

  end(): void {
    this.ended = true;
  }
}

async function measure(variant: Variant, source: string, path: string): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), 'fissium-bench-'));
  try {
    const control = new ControlBlock();
    const turns = new Turns(control);
    const engine: EngineRuntime =
      variant === 'jco'
        ? (await import('../../runtimes/wasm/jco/jco-engine.worker.ts')).jcoEngine
        : (await import('../../runtimes/wasm/component/component-engine.worker.ts')).componentEngine;
    const interrupt = { memory: control.memory, yield: turns.yield };
    const specialised = await engine.specialise(await deployment(variant, source, folder), interrupt);
    const request = {
      id: '1',
      method: 'GET',
      scheme: 'http',
      authority: 'bench',
      pathWithQuery: path,
      headers: [],
      body: null,
    } as const;
    const times: number[] = [];
    for (let call = 1; call <= WARM_UP[variant] + CALLS[variant]; call++) {
      const response = new Sink();
      const began = performance.now();
      await callOnce(specialised, turns, (turn) => ({
        request,
        response,
        log: () => undefined,
        signal: new CallAbort(),
        turn,
        receipt: null,
      }));
      if (call > WARM_UP[variant]) times.push((performance.now() - began) * 1000);
      if (response.status !== 200 || !response.ended)
        throw new Error(`${variant} answered ${response.status}`);
      if (call % BATCH === 0) await new Promise(setImmediate);
    }
    specialised.close();
    return { p50: quantile(times, 0.5), mean: mean(times), p99: quantile(times, 0.99) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function print(
  rounds: Readonly<Record<Variant, Figures[]>>,
  source: string,
  path: string,
): Promise<void> {
  const rows = VARIANTS.map((variant) => {
    const of = (name: keyof Figures): number =>
      quantile(
        rounds[variant].map((figures) => figures[name]),
        0.5,
      );
    return { variant, p50: of('p50'), mean: of('mean'), p99: of('p99'), rounds: rounds[variant] };
  });
  const machine = await describeMachine();
  process.stdout.write(`${JSON.stringify({ machine, source, path, unit: 'us', rows }, null, 2)}\n\n`);
  const line = (...cells: string[]): string =>
    `${(cells[0] ?? '').padEnd(34)}${cells
      .slice(1)
      .map((cell) => cell.padStart(12))
      .join('')}\n`;
  process.stdout.write(line(`us a call, median of ${ROUNDS} rounds`, 'p50', 'mean', 'p99'));
  const names = {
    reset: 'own engine, reset in place',
    resetApart: 'the same, modules not merged',
    new: 'own engine, new instances',
    newApart: 'the same, modules not merged',
    jco: "jco's engine",
  };
  for (const { variant, p50, mean: average, p99 } of rows) {
    process.stdout.write(line(names[variant], p50.toFixed(1), average.toFixed(1), p99.toFixed(1)));
  }
  for (const warning of machineWarnings(machine)) process.stdout.write(`${warning}\n`);
}

const [first, second, third] = process.argv.slice(2);
if (first === '--measure') {
  const variant = VARIANTS.find((name) => name === second) ?? 'reset';
  process.stdout.write(JSON.stringify(await measure(variant, third ?? '', process.argv[5] ?? '/')));
} else {
  const source = first ?? join(ROOT, 'test/guests/built/hello.wasm');
  const path = second ?? '/';
  const rounds: Record<Variant, Figures[]> = { reset: [], resetApart: [], new: [], newApart: [], jco: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const variant of VARIANTS) {
      const output = execFileSync(process.execPath, [
        import.meta.filename,
        '--measure',
        variant,
        source,
        path,
      ]);
      rounds[variant].push(JSON.parse(output.toString()) as Figures);
    }
  }
  await print(rounds, source, path);
}
