/** What many functions cost: memory, time to deploy, and the answer of any one of them. */
import { readFileSync } from 'node:fs';
import { askOk } from '../../src/bench/ask.ts';
import { Collector } from '../../src/bench/collector.ts';
import { memoryMiB } from '../../src/bench/processes.ts';
import { quantile } from '../../src/bench/stats.ts';
import { findProgram, unique } from '../programs.ts';
import { isPlatform } from '../rivals/rival.ts';
import { able, describeProgram, helloPath, inFolder, attempt, withEmpty, type Scenario } from './scenario.ts';

/** How many of each step are deployed by the CLI. */
const BY_CLI = 3;

/** Whether the functions share their code, and with it all that is kept by digest. */
const CODES = ['each its own', 'one for all'] as const;

export const density: Scenario = {
  name: 'density',
  title: 'Many functions',
  what: 'Functions deployed into one platform, once with code of its own for each, so that nothing is shared by digest, and once with the same code for all: memory of all its processes, time of each deploy as a user waits for it, and the answer of random ones. Rivals that serve one program need a process for each.',
  async run(context) {
    const { quick } = context;
    const program = context.program ?? findProgram('hello');
    const collector = new Collector(density);
    const rivals = able(context, program, collector);
    const all = quick ? [1, 10, 50] : [1, 10, 100, 1000, 10_000];
    const processes = [1, 10];
    const asks = quick ? 200 : 1000;
    const path = helloPath(program);
    const wasm = readFileSync(program.file);
    for (const rival of rivals) {
      if (isPlatform(rival)) {
        const marks = all.filter((mark) => mark <= rival.maxCodes);
        for (const code of CODES)
          await attempt(context, collector, rival, `${marks.at(-1)} functions, code: ${code}`, async () => {
            await withEmpty(rival, async (running) => {
              const urls: string[] = [];
              let alone: number | null = null;
              for (const mark of marks) {
                // A few by the CLI, as a user waits for them; the rest all together.
                const bytes = (i: number): Uint8Array =>
                  code === 'one for all' ? wasm : unique(wasm, String(i));
                const one = (i: number) => ({ name: `f${i}`, wasm: () => bytes(i) });
                const from = urls.length;
                const many = Array.from({ length: Math.max(0, mark - from - BY_CLI) }, (_, i) =>
                  one(from + i),
                );
                if (many.length > 0) {
                  const startedAt = performance.now();
                  urls.push(...(await running.deployAll(many)));
                  collector.add(
                    {
                      rival: rival.name,
                      at: { functions: mark, code },
                      unit: 'ms',
                      better: 'less',
                      metric: 'deploy, each of many at once through the API',
                      each: 'time of all by their number',
                    },
                    (performance.now() - startedAt) / many.length,
                  );
                }
                const deployMs: number[] = [];
                while (urls.length < mark) {
                  const { name, wasm: make } = one(urls.length);
                  const startedAt = performance.now();
                  urls.push(await running.deploy(name, make()));
                  deployMs.push(performance.now() - startedAt);
                }
                for (const url of urls.slice(-20)) await askOk(url + path);
                const answersMs: number[] = [];
                for (let i = 0; i < asks; i++) {
                  const url = urls[Math.floor(Math.random() * urls.length)] ?? '';
                  answersMs.push((await askOk(url + path)).ms);
                }
                const common = { rival: rival.name, at: { functions: mark, code }, better: 'less' } as const;
                collector.add(
                  { ...common, metric: 'deploy, with the CLI', unit: 'ms', each: 'one deploy' },
                  ...deployMs,
                );
                collector.add(
                  {
                    ...common,
                    metric: 'p99 of a random function',
                    unit: 'ms',
                    each: `p99 of ${asks} requests`,
                    detail: { answersMs },
                  },
                  quantile(answersMs, 0.99),
                );
                const memory = memoryMiB(running.pids());
                if (memory !== null) {
                  collector.add(
                    { ...common, metric: 'memory', unit: 'MiB', each: 'all its processes' },
                    memory,
                  );
                  if (mark === 1) alone = memory;
                  else if (alone !== null)
                    collector.add(
                      {
                        ...common,
                        metric: 'memory, more than with one function',
                        unit: 'MiB',
                        each: 'all its processes',
                      },
                      memory - alone,
                    );
                }
              }
            });
          });
        continue;
      }
      for (const count of processes) {
        await attempt(context, collector, rival, `${count} processes`, async () => {
          const started: { stop: () => Promise<void>; pids: () => readonly number[] }[] = [];
          await inFolder(async (folder) => {
            try {
              for (let i = 0; i < count; i++) {
                const running = await rival.start(program, { folder });
                started.push(running);
                await askOk(running.url + path);
              }
              const memory = memoryMiB(started.flatMap((running) => [...running.pids()]));
              if (memory !== null)
                collector.add(
                  {
                    rival: rival.name,
                    at: { functions: count, code: CODES[0] },
                    better: 'less',
                    metric: 'memory',
                    unit: 'MiB',
                    each: 'all its processes',
                  },
                  memory,
                );
            } finally {
              for (const running of started) await running.stop();
            }
          });
        });
      }
    }
    if (quick) collector.notes.push('A quick run: 50 functions at most; the full one goes to 10,000.');
    return collector.finish({
      program: describeProgram(program),
      rounds: 1,
      order: 'one after the other: nothing here is a race',
      warmUp: 'the last 20 functions are asked once before the random requests',
    });
  },
};
