/** Many first requests at once, before the server has answered any. */
import { readFileSync } from 'node:fs';
import { Collector } from '../../src/bench/collector.ts';
import { doubtsOf, get, load } from '../../src/bench/load/index.ts';
import { findProgram, unique } from '../programs.ts';
import { isPlatform } from '../rivals/rival.ts';
import { PUBLISHED } from './published.ts';
import {
  able,
  ALTERNATED,
  alternated,
  attempt,
  describeProgram,
  helloPath,
  withEmpty,
  withRunning,
  type Scenario,
} from './scenario.ts';

export const burst: Scenario = {
  name: 'burst',
  title: 'Bursts of first requests',
  what: 'As many first requests at the same instant, to a function that was never called, and to as many different ones. Connections are open before, so that accepting them is not part of it.',
  async run(context) {
    const program = context.program ?? findProgram('hello');
    const collector = new Collector(burst);
    const rivals = able(context, program, collector);
    const rounds = context.quick ? 2 : 5;
    const sizes = [1, 10, 100, 1000];
    const different = context.quick ? [10] : [1, 10, 100, 1000];
    const path = helloPath(program);
    const wasm = readFileSync(program.file);

    const measure = async (
      rival: string,
      what: string,
      urls: readonly string[],
      size: number,
    ): Promise<void> => {
      const result = await load({
        mode: 'burst',
        targets: urls.map((url) => get(url + path)),
        connections: size,
        limitMs: 60_000,
      });
      const common = {
        rival,
        at: { requests: size },
        unit: 'ms',
        better: 'less',
        each: 'one burst',
        doubts: doubtsOf(result),
        detail: { ...result },
      } as const;
      if (Object.keys(result.errors).length > 0) {
        collector.skip(rival, `${size} at once, ${what}`, common.doubts.join('; '));
        return;
      }
      collector.add({ ...common, metric: `${what}: until the last answer` }, result.allDoneMs);
      collector.add({ ...common, metric: `${what}: median answer` }, result.latency.p50);
    };
    for (const size of sizes) {
      for (const { rival } of alternated(rivals, rounds)) {
        await attempt(context, collector, rival, `${size} at once, one function`, () =>
          withRunning(context, rival, program, (running) =>
            measure(rival.name, 'one function', [running.url], size),
          ),
        );
      }
    }
    for (const size of different) {
      for (const { rival } of alternated(rivals, context.quick ? 1 : 3)) {
        if (!isPlatform(rival)) {
          collector.skip(rival.name, 'different functions', 'serves one program in a process');
          continue;
        }
        if (size > rival.maxCodes) {
          collector.skip(rival.name, `${size} different functions`, 'to prepare as many would take minutes');
          continue;
        }
        await attempt(context, collector, rival, `${size} at once, ${size} functions`, async () => {
          await withEmpty(rival, async (running) => {
            const urls = await running.deployAll(
              Array.from({ length: size }, (_, i) => ({
                name: `f${i}`,
                wasm: () => unique(wasm, String(i)),
              })),
            );
            await measure(rival.name, 'different functions', urls, size);
          });
        });
      }
    }
    collector.notes.push(
      'Before the burst to different functions the platform has deployed them all, so that its process is warmer than before the burst to one.',
    );
    if (context.quick)
      collector.notes.push(
        'A quick run: bursts to 1, 100 and 1,000 different functions are only in the full one.',
      );
    return collector.finish(
      { program: describeProgram(program), rounds, order: ALTERNATED, warmUp: 'none: that is the point' },
      PUBLISHED['burst'],
    );
  },
};
