/** Cold starts: the whole way as a caller feels it, and the parts of it inside the platform. */
import { readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { measureEngines } from '../engines/run.ts';
import { findProgram, unique } from '../programs.ts';
import { isPlatform } from '../rivals/rival.ts';
import { mean } from '../stats.ts';
import { askOk, warmClient } from './ask.ts';
import { PUBLISHED } from './published.ts';
import {
  able,
  ALTERNATED,
  alternated,
  attempt,
  Collector,
  describeProgram,
  helloPath,
  inFolder,
  withEmpty,
  type Scenario,
} from './scenario.ts';

const ENGINE_NAMES = { component: 'fissium', jco: 'fissium-jco' } as const;

export const coldstart: Scenario = {
  name: 'coldstart',
  title: 'Cold starts',
  what: 'How long the first answer takes: from starting the server process, from a server that runs and has never been asked, and of each function that was just deployed. Then the second request, and the usual one. Each is timed outside the server, from opening a new connection to the last byte.',
  async run(context) {
    const { quick } = context;
    const program = context.program ?? findProgram('hello');
    const rounds = quick ? 3 : 15;
    const collector = new Collector(coldstart);
    const rivals = able(context, program, collector);
    const path = helloPath(program);
    const wasm = readFileSync(program.file);
    const common = { unit: 'ms', better: 'less' } as const;

    await warmClient();
    await inFolder(async (all) => {
      const folders = new Map<string, string>();
      for (const rival of rivals) {
        const folder = await mkdtemp(join(all, `${rival.name}-`));
        await attempt(context, collector, rival, 'prepared', async () => {
          await rival.prepare?.(program, { folder });
          folders.set(rival.name, folder);
        });
      }
      for (const { round, rival } of alternated(rivals, rounds)) {
        const folder = folders.get(rival.name);
        if (folder === undefined) continue;
        await attempt(context, collector, rival, `cold start, round ${round + 1} of ${rounds}`, async () => {
          const running = await rival.start(program, { folder });
          try {
            const first = await askOk(running.url + path);
            const doneMs = performance.now() - running.spawnedAt;
            const add = (metric: string, each: string, ...ms: number[]): void =>
              collector.add({ rival: rival.name, metric, each, ...common }, ...ms);
            add('restart to first answer', 'one process', doneMs);
            add('first request of a running server', 'one process', first.ms);
            add('second request', 'one process', (await askOk(running.url + path)).ms);
            for (let i = 0; i < 20; i++) await askOk(running.url + path);
            for (let i = 0; i < (quick ? 30 : 100); i++)
              add('usual request, new connection', 'one request', (await askOk(running.url + path)).ms);
          } finally {
            await running.stop();
          }
        });
        if (!isPlatform(rival)) continue;
        await attempt(context, collector, rival, 'first requests of functions just deployed', async () => {
          await withEmpty(rival, async (running) => {
            for (let i = 0; i < (quick ? 2 : 10); i++) {
              const url = await running.deploy(`f${i}`, unique(wasm, `${round}-${i}`));
              const { ms } = await askOk(url + path);
              collector.add(
                {
                  rival: rival.name,
                  metric: 'first request of a function just deployed',
                  each: 'one function',
                  ...common,
                },
                ms,
              );
            }
          });
        });
      }
    });
    for (const rival of rivals.filter((one) => !isPlatform(one))) {
      collector.skip(
        rival.name,
        'first request of a function just deployed',
        'serves one program, given at its start',
      );
    }
    collector.skip(
      'fissium',
      'after an idle drop',
      'the platform drops nothing when a function is idle: there is no such start',
    );
    collector.skip(
      'fissium',
      'split from the receipt',
      'answers carry no receipt yet; the parts are measured on the engines themselves, without HTTP and threads',
    );

    try {
      const measured = await measureEngines({
        file: program.file,
        rounds: quick ? 2 : 6,
        warmUp: 500,
        count: quick ? 1000 : 3000,
        anyBody: program.kind !== 'hello',
      });
      for (const one of measured) {
        const rival = ENGINE_NAMES[one.engine];
        const add = (metric: string, ms: number): void =>
          collector.add(
            {
              rival,
              metric,
              each: 'one process',
              ...common,
              ...(metric.startsWith('engine: mean') ? { detail: { eachUs: one.eachUs } } : {}),
            },
            ms,
          );
        add('engine: prepare (once per package)', one.prepareMs);
        add('engine: compile (once per process)', one.compileMs);
        add('engine: specialise (once per thread)', one.specialiseMs);
        add('engine: first instance and answer', one.firstMs);
        add('engine: mean of instantiate and answer', mean(one.eachUs) / 1000);
      }
    } catch (error) {
      const why = error instanceof Error ? error.message.slice(0, 300) : String(error);
      for (const rival of Object.values(ENGINE_NAMES))
        collector.skip(rival, 'the parts of a cold start', why);
    }
    collector.notes.push(
      'A rival that serves one program has it loaded when it listens, so that its first request is cheaper than the first request of a function which a platform has just been given; compare it with `first request of a running server`.',
      '`jco serve` transpiles the component at each start, which is in `restart to first answer`; the platform did that when the function was deployed.',
    );
    return collector.finish(
      {
        program: describeProgram(program),
        rounds,
        order: ALTERNATED,
        warmUp:
          'none of the servers for first requests, of course (only of the client, with 200 requests to a server of its own); 20 requests before the usual one; 500 before the engines are timed. The disk is warm: the files were read before.',
      },
      PUBLISHED['coldstart'],
    );
  },
};
