/** How much a server takes: closed loop at several numbers of connections, open loop at fixed rates. */
import { doubtsOf, get, load, wrk } from '../load/index.ts';
import { cpuMs, memoryMiB } from '../processes.ts';
import { findProgram } from '../programs.ts';
import { PUBLISHED } from './published.ts';
import {
  able,
  ALTERNATED,
  alternated,
  attempt,
  Collector,
  describeProgram,
  helloPath,
  withRunning,
  type Scenario,
} from './scenario.ts';

export const throughput: Scenario = {
  name: 'throughput',
  title: 'Throughput, and latency under load',
  what: 'Closed loop: each connection asks again when it has its answer; the figure is answers per second. Open loop: requests come at a fixed rate whatever the server does, and latency counts from the instant at which a request should have been sent, so that a stall is seen by all that wait behind it.',
  async run(context) {
    const { quick } = context;
    const program = context.program ?? findProgram('hello');
    const collector = new Collector(throughput);
    const rivals = able(context, program, collector);
    const rounds = quick ? 1 : 3;
    const connections = quick ? [1, 16] : [1, 16, 50, 500];
    const rates = quick ? [300] : [100, 300, 1000, 2000, 4000, 8000];
    const warmUpMs = quick ? 1000 : 3000;
    const durationMs = quick ? 2000 : 8000;
    let checked = true;

    for (const { round, rival } of alternated(rivals, rounds)) {
      await attempt(context, collector, rival, `throughput, round ${round + 1} of ${rounds}`, () =>
        withRunning(rival, program, async (running) => {
          const url = running.url + helloPath(program);
          for (const count of connections) {
            const pids = running.pids();
            const before = cpuMs(pids);
            const result = await load({
              mode: 'closed',
              targets: [get(url)],
              connections: count,
              warmUpMs,
              durationMs,
            });
            const after = cpuMs(pids);
            const serverCpu =
              before === null || after === null ? null : (after - before) / (warmUpMs + durationMs);
            const common = {
              rival: rival.name,
              at: { connections: count },
              doubts: doubtsOf(result),
              detail: { ...result, serverCpu },
            };
            if (result.requests === 0) {
              collector.skip(rival.name, `${count} connections`, common.doubts.join('; '));
              continue;
            }
            collector.add(
              { ...common, metric: 'closed loop: answers', unit: 'req/s', better: 'more', each: 'one run' },
              result.perSecond,
            );
            collector.add(
              { ...common, metric: 'closed loop: p50', unit: 'ms', better: 'less', each: 'p50 of one run' },
              result.latency.p50,
            );
            collector.add(
              { ...common, metric: 'closed loop: p99', unit: 'ms', better: 'less', each: 'p99 of one run' },
              result.latency.p99,
            );
            if (quick && count === 1) continue;
            const check = await wrk(url, count, Math.round(durationMs / 1000));
            checked &&= check !== null;
            if (
              check !== null &&
              Math.abs(check - result.perSecond) > 0.25 * Math.max(check, result.perSecond)
            ) {
              const doubt = `wrk counted ${Math.round(check)} answers per second, our generator ${Math.round(result.perSecond)}`;
              collector.add({
                ...common,
                metric: 'closed loop: answers',
                unit: 'req/s',
                better: 'more',
                each: 'one run',
                doubts: [doubt],
                detail: undefined,
              });
            }
            if (check !== null) {
              collector.add(
                {
                  rival: rival.name,
                  at: { connections: count },
                  metric: 'checked by wrk: answers',
                  unit: 'req/s',
                  better: 'more',
                  each: 'one run',
                },
                check,
              );
            }
          }
          for (const ratePerS of rates) {
            const result = await load({
              mode: 'open',
              targets: [get(url)],
              ratePerS,
              connections: 1000,
              warmUpMs,
              durationMs,
            });
            const doubts = doubtsOf(result);
            if (result.perSecond < ratePerS * 0.98)
              doubts.push(
                `only ${Math.round(result.perSecond)} of ${ratePerS} answers per second: it does not keep up`,
              );
            const common = {
              rival: rival.name,
              at: { rate: ratePerS },
              unit: 'ms',
              better: 'less',
              doubts,
              detail: { ...result },
            } as const;
            if (result.requests > 0) {
              collector.add(
                { ...common, metric: 'open loop: p50', each: 'p50 of one run' },
                result.latency.p50,
              );
              collector.add(
                { ...common, metric: 'open loop: p99', each: 'p99 of one run' },
                result.latency.p99,
              );
            }
            // Far over what it can do, higher rates say nothing more and take minutes.
            if (result.perSecond < ratePerS / 2) {
              collector.skip(rival.name, `rates over ${ratePerS}/s`, 'it fell far behind already');
              break;
            }
          }
          const memory = memoryMiB(running.pids());
          if (memory !== null)
            collector.add(
              {
                rival: rival.name,
                metric: 'memory after the load',
                unit: 'MiB',
                better: 'less',
                each: 'one process tree',
              },
              memory,
            );
        }),
      );
    }
    if (!checked)
      collector.notes.push(
        'wrk is not installed or got answers that were no 2xx: our own load generator stands unchecked there.',
      );
    return collector.finish(
      {
        program: describeProgram(program),
        rounds,
        order: ALTERNATED,
        warmUp: `${warmUpMs / 1000} s before each closed or open loop of ${durationMs / 1000} s`,
      },
      PUBLISHED['throughput'],
    );
  },
};
