/** Cold starts: the whole way as a caller feels it, and the parts of it inside the platform. */
import { readFileSync, statSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { askOk, warmClient, type Asked } from '../../src/bench/ask.ts';
import { Collector } from '../../src/bench/collector.ts';
import { RECEIPT_REQUEST } from '../../src/bench/receipt.ts';
import { addSplit, receiptOf } from '../../src/bench/split.ts';
import { mean, median, quantile } from '../../src/bench/stats.ts';
import { measureEngines } from '../engines/run.ts';
import { findProgram, unique } from '../programs.ts';
import { isPlatform, type Rival } from '../rivals/rival.ts';
import { PUBLISHED } from './published.ts';
import {
  able,
  ALTERNATED,
  alternated,
  attempt,
  describeProgram,
  helloPath,
  inFolder,
  withEmpty,
  type Scenario,
} from './scenario.ts';

/** Every rival is sent the same bytes; those that know no receipt pass the header over. */
const ASKING = { headers: RECEIPT_REQUEST };

/** An instance that stays, and goes when it is idle for this long; it is waited for three times as long. */
const IDLE_S = 1;
const IDLE_DROP = ['--instance', 'reuse', '--idletimeout', String(IDLE_S)];

const AFTER_IDLE_DROP = 'first request after an idle drop';

const ENGINE_WARM_UP_MS = 2000;

const ENGINE_NAMES = { component: 'fissium', jco: 'fissium-jco' } as const;

export const coldstart: Scenario = {
  name: 'coldstart',
  title: 'Cold starts',
  what: 'How long the first answer takes: from starting the server process, from a server that runs and has never been asked, and of each function that was just deployed. Then the second request, and the usual one. Each is timed outside the server, from opening a new connection to the last byte.',
  async run(context) {
    const { quick } = context;
    const program = context.program ?? findProgram('hello');
    // Ten megabytes deployed a hundred times would take hours and say nothing more.
    const heavy = statSync(program.file).size > 2 ** 21;
    const rounds = quick ? 3 : heavy ? 3 : 10;
    const collector = new Collector(coldstart);
    const rivals = able(context, program, collector);
    const path = helloPath(program);
    const wasm = readFileSync(program.file);
    const common = { unit: 'ms', better: 'less' } as const;

    const receipts = new Set<string>();
    const split = (rival: Rival, request: string, asked: Asked): void => {
      if (addSplit(collector, rival.name, request, asked)) receipts.add(rival.name);
    };

    await warmClient();
    await inFolder(async (all) => {
      const folders = new Map<string, string>();
      for (const rival of rivals) {
        const folder = await mkdtemp(join(all, `${rival.name}-`));
        await attempt(context, collector, rival, 'prepared', async () => {
          await context.prepared.into(folder, rival, program);
          folders.set(rival.name, folder);
        });
      }
      for (const { round, rival } of alternated(rivals, rounds)) {
        const folder = folders.get(rival.name);
        if (folder === undefined) continue;
        await attempt(context, collector, rival, `cold start, round ${round + 1} of ${rounds}`, async () => {
          const running = await rival.start(program, { folder });
          try {
            const first = await askOk(running.url + path, ASKING);
            const doneMs = performance.now() - running.spawnedAt;
            const add = (metric: string, each: string, ...ms: number[]): void =>
              collector.add({ rival: rival.name, metric, each, ...common }, ...ms);
            add('restart to first answer', 'one process', doneMs);
            add('first request of a running server', 'one process', first.ms);
            split(rival, 'first request of a running server', first);
            add('second request', 'one process', (await askOk(running.url + path, ASKING)).ms);
            for (let i = 0; i < 20; i++) await askOk(running.url + path, ASKING);
            for (let i = 0; i < (quick ? 30 : 100); i++) {
              const usual = await askOk(running.url + path, ASKING);
              add('usual request, new connection', 'one request', usual.ms);
              split(rival, 'usual request', usual);
            }
          } finally {
            await running.stop();
          }
        });
        // A quick run deploys into one process, a full one into a fresh one in each round.
        if (!isPlatform(rival) || (quick && round > 0)) continue;
        await attempt(context, collector, rival, 'first requests of functions just deployed', async () => {
          await withEmpty(rival, async (running) => {
            for (let i = 0; i < (quick ? 3 : heavy ? 2 : 10); i++) {
              const url = await running.deploy(`f${i}`, unique(wasm, `${round}-${i}`));
              const first = await askOk(url + path, ASKING);
              split(rival, 'first request of a function just deployed', first);
              collector.add(
                {
                  rival: rival.name,
                  metric: 'first request of a function just deployed',
                  each: 'one function',
                  ...common,
                },
                first.ms,
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
    for (const rival of rivals.filter((one) => isPlatform(one))) {
      if (rival.neverIdle !== null) collector.skip(rival.name, AFTER_IDLE_DROP, rival.neverIdle);
      else
        await attempt(context, collector, rival, 'first requests after an idle drop', () =>
          afterIdleDrop(collector, rival, wasm, path, quick ? 1 : 5),
        );
      if (!receipts.has(rival.name))
        collector.skip(
          rival.name,
          'split from the receipt',
          'its answers carry none; the parts are measured on the engines themselves, without HTTP and threads',
        );
    }

    try {
      const measured = await measureEngines({
        file: program.file,
        rounds: quick ? 1 : 6,
        warmUpMs: ENGINE_WARM_UP_MS,
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
        add('engine: instantiate and answer, median', median(one.eachUs) / 1000);
        add('engine: instantiate and answer, p99', quantile(one.eachUs, 0.99) / 1000);
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
        warmUp: `none of the servers for first requests, of course (only of the client, with 200 requests to a server of its own); 20 requests before the usual one; ${ENGINE_WARM_UP_MS / 1000} s before the engines are timed, so that V8 has compiled all of them. The disk is warm: the files were read before`,
      },
      PUBLISHED['coldstart'],
    );
  },
};

/**
 * The first request after the platform has dropped an idle instance. Without a receipt that says why the start was
 * cold, nobody knows whether it did, and nothing is measured.
 */
async function afterIdleDrop(
  collector: Collector,
  rival: Rival,
  wasm: Uint8Array,
  path: string,
  count: number,
): Promise<void> {
  await withEmpty(rival, async (running) => {
    const url = (await running.deploy('idle', unique(wasm, 'idle'), IDLE_DROP)) + path;
    for (let i = 0; i < count; i++) {
      await askOk(url, ASKING);
      await sleep(IDLE_S * 3000);
      const asked = await askOk(url, ASKING);
      const receipt = receiptOf(asked);
      if (receipt === null) {
        collector.skip(
          rival.name,
          AFTER_IDLE_DROP,
          'without a receipt nobody knows whether anything was dropped',
        );
        return;
      }
      if (receipt.cold === null) {
        collector.skip(
          rival.name,
          AFTER_IDLE_DROP,
          `nothing was dropped after ${IDLE_S * 3} s: its receipt says no cold start`,
        );
        return;
      }
      const each = `one request (${receipt.cold})`;
      collector.add(
        { rival: rival.name, metric: AFTER_IDLE_DROP, each, unit: 'ms', better: 'less' },
        asked.ms,
      );
      addSplit(collector, rival.name, AFTER_IDLE_DROP, asked);
    }
  });
}
