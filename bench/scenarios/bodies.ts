/** Bodies of both directions, and answers that come bit by bit. */
import { ask } from '../../src/bench/ask.ts';
import { Collector } from '../../src/bench/collector.ts';
import { doubtsOf, load, type Target } from '../../src/bench/load/index.ts';
import { PUBLISHED } from './published.ts';
import {
  able,
  ALTERNATED,
  alternated,
  attempt,
  describeProgram,
  torture,
  withRunning,
  type Scenario,
} from './scenario.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

const name = (bytes: number): string => (bytes >= MIB ? `${bytes / MIB} MiB` : `${bytes / KIB} KiB`);

export const bodies: Scenario = {
  name: 'bodies',
  title: 'Bodies and event streams',
  what: 'Sending a body to the guest, which reads it all; getting one from it; both at once (echo). Then server-sent events, 20 ms apart: how late each one comes.',
  async run(context) {
    const { quick } = context;
    const collector = new Collector(bodies);
    const program = torture(context, collector);
    const rivals = able(context, program, collector);
    const sizes = quick ? [KIB, MIB] : [KIB, 64 * KIB, MIB, 10 * MIB, 100 * MIB];
    const rounds = quick ? 1 : 3;
    for (const { round, rival } of alternated(rivals, rounds)) {
      await attempt(context, collector, rival, `bodies, round ${round + 1} of ${rounds}`, () =>
        withRunning(context, rival, program, async (running) => {
          const post = (path: string, bodyBytes: number): Target => ({
            url: running.url + path,
            method: 'POST',
            bodyBytes,
          });
          for (const size of sizes) {
            const ways = [
              ['to the guest', post('/read-all', size)],
              ['from the guest', { url: `${running.url}/big?bytes=${size}`, method: 'GET', bodyBytes: 0 }],
              ['both ways', post('/echo', size)],
            ] as const;
            for (const [way, target] of ways) {
              const result = await load({
                mode: 'closed',
                targets: [target],
                connections: 4,
                warmUpMs: quick ? 300 : 500,
                durationMs: quick ? 700 : 1500,
              });
              const doubts = doubtsOf(result);
              if (way !== 'to the guest' && result.requests > 0 && result.bytes !== result.requests * size)
                doubts.push('answers were not of the size that was asked for');
              const common = { rival: rival.name, at: { body: name(size) }, doubts, detail: { ...result } };
              if (result.requests === 0 || result.perSecond === 0) {
                collector.skip(
                  rival.name,
                  `${name(size)} ${way}`,
                  doubts.join('; ') || 'no answer within the time',
                );
                continue;
              }
              collector.add(
                { ...common, metric: `${way}: answers`, unit: 'req/s', better: 'more', each: 'one run' },
                result.perSecond,
              );
              collector.add(
                { ...common, metric: `${way}: p50`, unit: 'ms', better: 'less', each: 'p50 of one run' },
                result.latency.p50,
              );
            }
          }
          const pauseMs = 20;
          for (let i = 0; i < (quick ? 3 : 10); i++) {
            const { status, chunksAtMs } = await ask(`${running.url}/slow-body?ms=${pauseMs}&chunks=20`);
            const [first = NaN] = chunksAtMs;
            if (status !== 200) throw new Error(`/slow-body answered ${status}`);
            const common = { rival: rival.name, unit: 'ms', better: 'less' } as const;
            if (i > 0)
              collector.add({ ...common, metric: 'events: until the first one', each: 'one stream' }, first);
            if (chunksAtMs.length < 20) {
              collector.add(
                {
                  ...common,
                  metric: 'events: the last one comes late by',
                  each: 'one stream',
                  doubts: [`20 events came in ${chunksAtMs.length} pieces: the answer is buffered`],
                },
                (chunksAtMs.at(-1) ?? NaN) - first - 19 * pauseMs,
              );
            } else
              collector.add(
                { ...common, metric: 'events: the last one comes late by', each: 'one stream' },
                (chunksAtMs[19] ?? NaN) - first - 19 * pauseMs,
              );
          }
        }),
      );
    }
    if (quick) collector.notes.push('A quick run: 64 KiB, 10 MiB and 100 MiB are only in the full one.');
    return collector.finish(
      {
        program: describeProgram(program),
        rounds,
        order: ALTERNATED,
        warmUp: `${quick ? 0.3 : 0.5} s before each size and direction, four connections; one stream before the events are timed`,
      },
      PUBLISHED['bodies'],
    );
  },
};
