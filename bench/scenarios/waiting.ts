/** Guests that wait: how many at once, and what one of them costs. */
import { readFileSync } from 'node:fs';
import { Collector } from '../../src/bench/collector.ts';
import { doubtsOf, get, load } from '../../src/bench/load/index.ts';
import { memoryMiB } from '../../src/bench/processes.ts';
import type { Program } from '../programs.ts';
import { isPlatform, type Rival, type Running } from '../rivals/rival.ts';
import {
  able,
  ALTERNATED,
  alternated,
  attempt,
  describeProgram,
  torture,
  withEmpty,
  withRunning,
  type Scenario,
  type ScenarioContext,
} from './scenario.ts';

const SLEEP_MS = 1000;

/** So that the platform's own limits (500 of a function at once, 1,000 waiting) are not what is measured. */
const NO_LIMITS = ['--concurrency', '20000', '--queue', '20000'];

/** The program in a fresh process; on a platform without limits on how many requests of it run at once. */
async function serving(
  context: ScenarioContext,
  rival: Rival,
  program: Program,
  body: (running: Running, url: string) => Promise<void>,
): Promise<void> {
  if (!isPlatform(rival)) {
    return withRunning(context, rival, program, (running) => body(running, running.url), { noLimits: true });
  }
  await withEmpty(rival, async (running) => {
    await body(running, await running.deploy('sleeper', readFileSync(program.file), NO_LIMITS));
  });
}

export const waiting: Scenario = {
  name: 'waiting',
  title: 'Guests that wait',
  what: `Requests whose guests sleep for ${SLEEP_MS / 1000} s, all sent at once: a server that waits without holding threads answers all of them after ${SLEEP_MS / 1000} s. Memory is read while they sleep. What has not answered after 30 s counts as failed.`,
  async run(context) {
    const collector = new Collector(waiting);
    const program = torture(context, collector);
    const rivals = able(context, program, collector);
    const counts = context.quick ? [200, 2000] : [100, 500, 1000, 2000, 4000];
    const rounds = context.quick ? 1 : 3;
    /** The fewest that a rival did not answer: with more it would only take longer to fail. */
    const failed = new Map<string, number>();
    for (const { rival } of alternated(rivals, rounds)) {
      for (const count of counts) {
        const fewest = failed.get(rival.name) ?? Infinity;
        if (count > fewest) {
          collector.skip(rival.name, `${count} guests that sleep`, `not tried: ${fewest} were too many`);
          continue;
        }
        await attempt(context, collector, rival, `${count} guests that sleep`, () =>
          serving(context, rival, program, async (running, base) => {
            const url = (ms: number): string => `${base}/sleep?ms=${ms}`;
            await load({ mode: 'burst', targets: [get(url(10))], connections: 20, limitMs: 30_000 });
            const before = memoryMiB(running.pids());
            const loading = load({
              mode: 'burst',
              targets: [get(url(SLEEP_MS))],
              connections: count,
              limitMs: 30_000,
            });
            let most = before ?? 0;
            const watch = setInterval(() => (most = Math.max(most, memoryMiB(running.pids()) ?? 0)), 250);
            const result = await loading.finally(() => clearInterval(watch));
            const common = {
              rival: rival.name,
              at: { guests: count },
              each: 'one burst',
              better: 'less',
              doubts: doubtsOf(result),
              detail: { ...result },
            } as const;
            if (Object.keys(result.errors).length > 0) {
              // A time limit is no figure: a ratio with it would be as large as the limit is long.
              collector.skip(rival.name, `${count} guests that sleep`, common.doubts.join('; '));
              failed.set(rival.name, Math.min(count, fewest));
              return;
            }
            collector.add({ ...common, metric: 'until the last answer', unit: 'ms' }, result.allDoneMs);
            collector.add({ ...common, metric: 'median answer', unit: 'ms' }, result.latency.p50);
            if (before !== null && most > before)
              collector.add(
                { ...common, metric: 'memory for each waiting guest', unit: 'KiB' },
                ((most - before) * 1024) / count,
              );
            if (before !== null)
              collector.add({ ...common, metric: 'memory at most, all processes', unit: 'MiB' }, most);
          }),
        );
      }
    }
    collector.notes.push(
      'By default the platform runs 500 requests of a function at once (`concurrency`, as Fission has it), lets 1,000 wait and answers 429 to more; here the function is deployed with 20,000 for both. `wasmtime serve` holds 1,000 connections and has room for 1,000 core instances; here it is started with 20,000 connections and requests, and room for 5,000 components.',
    );
    return collector.finish({
      program: describeProgram(program),
      rounds,
      order: ALTERNATED,
      warmUp: '20 short sleeps',
    });
  },
};
