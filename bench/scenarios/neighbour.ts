/** What a well-behaved function feels of its neighbours. */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { Collector } from '../../src/bench/collector.ts';
import { doubtsOf, get, load } from '../../src/bench/load/index.ts';
import { findProgram } from '../programs.ts';
import { isPlatform } from '../rivals/rival.ts';
import {
  able,
  ALTERNATED,
  alternated,
  attempt,
  describeProgram,
  torture,
  withEmpty,
  type Scenario,
} from './scenario.ts';

const RATE = 200;

/** Asks again and again, a few at a time, and does not care for the answers. */
function pester(url: string, atOnce: number): () => void {
  let going = true;
  const one = (): void => {
    if (!going) return;
    const outgoing = request(url, { agent: false }, (response) => response.resume().on('close', again));
    const again = (): void => void setTimeout(one, 20);
    outgoing.on('error', again);
    outgoing.end();
    stops.push(() => outgoing.destroy());
    if (stops.length > 1000) stops.splice(0, 500);
  };
  const stops: (() => void)[] = [];
  for (let i = 0; i < atOnce; i++) one();
  return () => {
    going = false;
    for (const stop of stops) stop();
  };
}

/** Sends another one every now and then, whatever became of those before. */
function keepSending(url: string, pauseMs: number): () => void {
  const open = new Set<ReturnType<typeof request>>();
  const timer = setInterval(() => {
    const outgoing = request(url, { agent: false }, (response) => response.resume());
    open.add(outgoing);
    outgoing.on('error', () => {}).on('close', () => open.delete(outgoing));
    outgoing.end();
  }, pauseMs);
  return () => {
    clearInterval(timer);
    for (const outgoing of open) outgoing.destroy();
  };
}

/** The bad neighbours: a name, and what they do until they are stopped. */
const NEIGHBOURS: readonly (readonly [beside: string, start: (guests: Guests) => () => void])[] = [
  ['one that spins', ({ guest }) => pester(`${guest}/spin`, 1)],
  ['four that spin', ({ guest }) => pester(`${guest}/spin`, 4)],
  ['one that spins, without a limit of CPU time', ({ unlimited }) => pester(`${unlimited}/spin`, 1)],
  [
    'spinners that keep arriving, without a limit of CPU time',
    ({ unlimited }) => keepSending(`${unlimited}/spin`, 500),
  ],
  ['one that eats memory', ({ guest }) => pester(`${guest}/alloc`, 1)],
];

interface Guests {
  /** With the platform's usual limit of CPU time. */
  readonly guest: string;
  readonly unlimited: string;
}

/** Long enough to be none. */
const UNLIMITED = ['--cpu-time', '1h'];

export const neighbour: Scenario = {
  name: 'neighbour',
  title: 'Bad neighbours',
  what: `A function is asked ${RATE} times a second, first alone, then beside another function of the same platform that spins without end (with the usual limit of CPU time, and without one), and beside one that takes all the memory it gets. The figure is what the first one's callers feel.`,
  async run(context) {
    const { quick } = context;
    const collector = new Collector(neighbour);
    const program = findProgram('hello');
    const bad = torture(context, collector);
    const rivals = able(context, bad, collector);
    const rounds = quick ? 1 : 3;
    const durationMs = quick ? 2000 : 8000;
    for (const { round, rival } of alternated(rivals, rounds)) {
      if (!isPlatform(rival)) {
        collector.skip(
          rival.name,
          'neighbours',
          'serves one program in a process: its neighbours are other processes',
        );
        continue;
      }
      await attempt(context, collector, rival, `neighbours, round ${round + 1} of ${rounds}`, async () => {
        await withEmpty(rival, async (running) => {
          const good = `${await running.deploy('good', readFileSync(program.file))}/hello`;
          const wasm = readFileSync(bad.file);
          const guest = await running.deploy('bad', wasm);
          const unlimited = await running.deploy('unlimited', wasm, UNLIMITED);
          const measure = async (beside: string): Promise<void> => {
            const result = await load({
              mode: 'open',
              targets: [get(good)],
              ratePerS: RATE,
              connections: 500,
              warmUpMs: 1000,
              durationMs,
            });
            const common = {
              rival: rival.name,
              at: { beside },
              unit: 'ms',
              better: 'less',
              doubts: doubtsOf(result),
              detail: { ...result },
            } as const;
            if (result.requests === 0) {
              collector.skip(rival.name, `beside ${beside}`, common.doubts.join('; '));
              return;
            }
            collector.add({ ...common, metric: 'p50', each: 'p50 of one run' }, result.latency.p50);
            collector.add({ ...common, metric: 'p99', each: 'p99 of one run' }, result.latency.p99);
            collector.add({ ...common, metric: 'slowest', each: 'slowest of one run' }, result.latency.max);
          };
          await measure('nobody');
          for (const [beside, start] of quick ? NEIGHBOURS.slice(0, 2) : NEIGHBOURS) {
            const stop = start({ guest, unlimited });
            try {
              await measure(beside);
            } finally {
              stop();
            }
          }
        });
      });
    }
    return collector.finish({
      program: `${describeProgram(program)}; neighbours: ${describeProgram(bad)}`,
      rounds,
      order: ALTERNATED,
      warmUp: '1 s before each run, with the neighbour there already',
    });
  },
};
