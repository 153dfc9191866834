/** How much a server takes: closed loop at several numbers of connections, open loop at fixed rates. */
import { Collector } from '../../src/bench/collector.ts';
import { doubtsOf, get, load, type LoadResult } from '../../src/bench/load/index.ts';
import { behindRate } from '../../src/bench/model.ts';
import { cpuMs, memoryMiB } from '../../src/bench/processes.ts';
import { median } from '../../src/bench/stats.ts';
import { findProgram, type Program } from '../programs.ts';
import type { Running } from '../rivals/rival.ts';
import { disagreement, wrk } from '../wrk.ts';
import { PUBLISHED } from './published.ts';
import {
  able,
  ALTERNATED,
  alternated,
  attempt,
  describeProgram,
  helloPath,
  withRunning,
  type Scenario,
} from './scenario.ts';

/** Half of what this rival takes at most is one of the rates of the open loop. */
const YARDSTICK = 'wasmtime';

interface Plan {
  readonly connections: readonly number[];
  readonly rates: readonly number[];
  /** Before the first loop of a process: V8 needs some seconds under load until it has compiled what is called often. */
  readonly firstWarmUpMs: number;
  /** Before each loop after that. */
  readonly warmUpMs: number;
  readonly durationMs: number;
  /** Whether wrk checks each closed loop, or the one with the most connections. */
  readonly checks: 'each' | 'the last';
  /** Whether the open loops come right after the closed ones, in the same process, and only at rates below theirs. */
  readonly oneProcess: boolean;
}

function planOf(quick: boolean, program: Program): Plan {
  if (quick) {
    return {
      connections: [1, 16],
      // What ten megabytes of JavaScript or somebody's own program take, nobody knows before.
      rates: program.kind === 'hello-js' || program.kind === 'own' ? [30, 300] : [300, 3000],
      firstWarmUpMs: 2000,
      warmUpMs: 300,
      durationMs: 1200,
      checks: 'the last',
      oneProcess: true,
    };
  }
  const full = {
    firstWarmUpMs: 3000,
    warmUpMs: 1000,
    durationMs: 3000,
    checks: 'each',
    oneProcess: false,
  } as const;
  // What ten megabytes of JavaScript take is told by fewer loads.
  if (program.kind === 'hello-js') return { ...full, connections: [1, 16], rates: [300] };
  return { ...full, connections: [1, 16, 50, 500], rates: [300, 1000, 4000, 8000, 16_000] };
}

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
    const plan = planOf(quick, program);
    const closed = new ClosedLoops(collector, plan);
    const path = helloPath(program);
    for (const { round, rival } of alternated(rivals, rounds)) {
      const loops = plan.oneProcess ? 'closed and open loops' : 'closed loops';
      await attempt(context, collector, rival, `${loops}, round ${round + 1} of ${rounds}`, () =>
        withRunning(context, rival, program, async (running) => {
          await closed.measure(rival.name, running, path);
          if (!plan.oneProcess) return;
          const rates = closed.within(rival.name, plan.rates);
          await openLoops(collector, rival.name, running.url + path, rates, {
            ...plan,
            firstWarmUpMs: plan.warmUpMs,
          });
        }),
      );
    }
    if (plan.oneProcess)
      collector.notes.push(
        'A quick run: 50 and 500 connections, the other rates, and those that a server cannot keep up with are only in the full one.',
      );
    else {
      const half = closed.halfOf(YARDSTICK);
      const rates = [...new Set([...plan.rates, ...(half === null ? [] : [half])])].toSorted((a, b) => a - b);
      collector.notes.push(
        half === null
          ? `No open loop at half of the most that ${YARDSTICK} takes: it was not measured.`
          : `The rate of ${half}/s is half of the most that ${YARDSTICK} took in the closed loop.`,
      );
      for (const { round, rival } of alternated(rivals, rounds)) {
        await attempt(context, collector, rival, `open loops, round ${round + 1} of ${rounds}`, () =>
          withRunning(context, rival, program, (running) =>
            openLoops(collector, rival.name, running.url + path, rates, plan),
          ),
        );
      }
    }
    if (!closed.checked)
      collector.notes.push(
        'wrk is not installed or got answers that were no 2xx: our own load generator stands unchecked there.',
      );
    const cost = closed.cost();
    if (cost !== null) collector.notes.push(cost);
    return collector.finish(
      {
        program: describeProgram(program),
        rounds,
        order: `${ALTERNATED}; ${plan.oneProcess ? "each one's closed loops before its open ones, in the same process" : 'all closed loops before the open ones'}`,
        warmUp: `${plan.firstWarmUpMs / 1000} s before the first ${plan.oneProcess ? '' : 'closed or open '}loop of a process, ${plan.warmUpMs / 1000} s before each further one; each takes ${plan.durationMs / 1000} s${plan.checks === 'each' ? '' : '; wrk checks the closed loop with the most connections'}`,
      },
      PUBLISHED['throughput'],
    );
  },
};

class ClosedLoops {
  readonly #collector: Collector;
  readonly #plan: Plan;
  /** Answers per second of each rival, by connections. */
  readonly #answers = new Map<string, Map<number, number[]>>();
  readonly #costs: LoadResult[] = [];
  /** Whether wrk measured all of them too that it was to check. */
  checked = true;

  constructor(collector: Collector, plan: Plan) {
    this.#collector = collector;
    this.#plan = plan;
  }

  async measure(rival: string, running: Running, path: string): Promise<void> {
    const { connections, firstWarmUpMs, warmUpMs } = this.#plan;
    for (const [i, count] of connections.entries())
      await this.#one(rival, running, running.url + path, count, i === 0 ? firstWarmUpMs : warmUpMs);
    const memory = memoryMiB(running.pids());
    if (memory === null) return;
    this.#collector.add(
      { rival, metric: 'memory after the load', unit: 'MiB', better: 'less', each: 'one process tree' },
      memory,
    );
  }

  async #one(
    rival: string,
    running: Running,
    url: string,
    connections: number,
    warmUpMs: number,
  ): Promise<void> {
    const { durationMs } = this.#plan;
    const pids = running.pids();
    const before = cpuMs(pids);
    const result = await load({ mode: 'closed', targets: [get(url)], connections, warmUpMs, durationMs });
    const after = cpuMs(pids);
    const serverCpu = before === null || after === null ? null : (after - before) / (warmUpMs + durationMs);
    const doubts = doubtsOf(result);
    if (result.requests === 0) {
      this.#collector.skip(rival, `${connections} connections`, doubts.join('; '));
      return;
    }
    this.#costs.push(result);
    const of = this.#answers.get(rival) ?? new Map<number, number[]>();
    this.#answers.set(rival, of.set(connections, [...(of.get(connections) ?? []), result.perSecond]));
    const checks = this.#plan.checks === 'each' || connections === this.#plan.connections.at(-1);
    const byWrk = checks ? await wrk(url, connections, durationMs / 1000) : null;
    this.checked &&= byWrk !== null || !checks;
    const differs = byWrk === null ? null : disagreement(byWrk, result.perSecond);
    const at = { connections };
    const common = { rival, at, doubts, detail: { ...result, serverCpu } };
    this.#collector.add(
      {
        ...common,
        doubts: [...doubts, ...(differs === null ? [] : [differs])],
        metric: 'closed loop: answers',
        unit: 'req/s',
        better: 'more',
        each: 'one run',
      },
      result.perSecond,
    );
    const times = { ...common, unit: 'ms', better: 'less' } as const;
    this.#collector.add({ ...times, metric: 'closed loop: p50', each: 'p50 of one run' }, result.latency.p50);
    this.#collector.add({ ...times, metric: 'closed loop: p99', each: 'p99 of one run' }, result.latency.p99);
    if (byWrk === null) return;
    this.#collector.add(
      { rival, at, metric: 'checked by wrk: answers', unit: 'req/s', better: 'more', each: 'one run' },
      byWrk,
    );
  }

  /** Those of the rates that the rival can keep up with, by what its closed loops gave; the others are noted. */
  within(rival: string, rates: readonly number[]): number[] {
    const most = Math.max(0, ...[...(this.#answers.get(rival)?.values() ?? [])].flat());
    const over = rates.filter((rate) => rate > most);
    if (over.length > 0)
      this.#collector.skip(
        rival,
        `open loop at ${over.map((rate) => `${rate.toLocaleString('en-US')}/s`).join(', ')}`,
        `it gave ${Math.round(most).toLocaleString('en-US')} answers per second at most: it cannot keep up`,
      );
    return rates.filter((rate) => rate <= most);
  }

  /** Half of the most answers per second that the rival gave; null where it gave none. */
  halfOf(rival: string): number | null {
    const medians = [...(this.#answers.get(rival)?.values() ?? [])].map((values) => median(values));
    return medians.length === 0 ? null : Math.round(Math.max(...medians) / 2);
  }

  /** What the load generator itself took; null where nothing was measured. */
  cost(): string | null {
    if (this.#costs.length === 0) return null;
    const most = Math.max(...this.#costs.map(({ generatorCpu }) => generatorCpu));
    const each = median(this.#costs.map(({ generatorUsPerRequest }) => generatorUsPerRequest));
    return `The load generator took ${Math.round(each)} µs of CPU time for a request (median), and ${Math.round(most * 100)} % of a core at most.`;
  }
}

async function openLoops(
  collector: Collector,
  rival: string,
  url: string,
  rates: readonly number[],
  { firstWarmUpMs, warmUpMs, durationMs }: Plan,
): Promise<void> {
  for (const [i, ratePerS] of rates.entries()) {
    const job = {
      mode: 'open',
      targets: [get(url)],
      ratePerS,
      connections: 1000,
      warmUpMs: i === 0 ? firstWarmUpMs : warmUpMs,
      durationMs,
    } as const;
    const result = await load(job);
    const behind = behindRate(result.perSecond, ratePerS, durationMs);
    const doubts = [...doubtsOf(result), ...(behind === null ? [] : [behind])];
    const at = { rate: ratePerS };
    const common = { rival, at, unit: 'ms', better: 'less', doubts, detail: { ...result } } as const;
    if (result.requests > 0) {
      collector.add({ ...common, metric: 'open loop: p50', each: 'p50 of one run' }, result.latency.p50);
      collector.add({ ...common, metric: 'open loop: p99', each: 'p99 of one run' }, result.latency.p99);
    }
    // Far over what it can do, higher rates say nothing more and take minutes.
    if (result.perSecond < ratePerS / 2) {
      collector.skip(rival, `rates over ${ratePerS}/s`, 'it fell far behind already');
      return;
    }
  }
}
