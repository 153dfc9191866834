/**
 * Functions on a cluster, in Wasm hosts and in pods of their own, in the shape of Fission's own benchmarks, so that its
 * published figures stand beside ours.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { askOk, warmClient } from '../../src/bench/ask.ts';
import { Collector, type Figure } from '../../src/bench/collector.ts';
import { doubtsOf, get, load, type Job, type Target } from '../../src/bench/load/index.ts';
import { quantile } from '../../src/bench/stats.ts';
import { PoolCluster } from '../pool-cluster.ts';
import { POOL_SIZE, type Variant, VARIANTS } from '../pool-functions.ts';
import { PUBLISHED } from './published.ts';
import type { Scenario, ScenarioContext } from './scenario.ts';

/** The name of what is measured: whatever platform the cluster runs. */
const RIVAL = 'fissium';
const AT_ONCE = 10;
const CONNECTIONS = [50, 500];
const RATE = 1000;
const MIB = 1024 * 1024;
/** Fission's p50 and rate with 1 MiB bodies together say how many it had in flight. */
const BODY_CONNECTIONS = 25;
/** One pod is to serve a whole loop, as in Fission's: what is measured is the way to it. */
const CALLS_PER_POD = 510;
const SCALE_LIMIT_MS = 60_000;

/** What is kept for a variant's measurements. */
interface Run {
  readonly context: ScenarioContext;
  readonly collector: Collector;
  readonly cluster: PoolCluster;
  readonly variant: Variant;
}

export const pools: Scenario = {
  name: 'pools',
  title: 'Pools and pods',
  what: 'On a cluster, through the public router: first requests to functions in Wasm hosts and in pods (pool manager, new deployment, container), ten first requests at once to one function and to ten, the load that Fission publishes figures of (50 and 500 connections, 1,000 requests per second, bodies of 1 MiB) on one warm function, and how soon a second pod is there.',
  async run(context) {
    const collector = new Collector(pools);
    const { runs } = context.cluster;
    const wanted = VARIANTS.filter(({ name }) => runs === undefined || runs.includes(name));
    const cluster = await PoolCluster.open(context.cluster).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      for (const { name } of wanted) collector.skip(RIVAL, name, why);
      return null;
    });
    const measured: string[] = [];
    if (cluster !== null) {
      collector.notes.push(
        'A Wasm function of a pool is deployed to its hosts before it is called: its first request finds its code compiled, as the first request to a pool finds its pod started.',
        'Load generator, routers, pods and control plane share the machine; Fission’s figures come from another one.',
      );
      await warmClient();
      try {
        for (const variant of wanted) {
          const why = cluster.refuses(variant);
          if (why === null) await measure({ context, collector, cluster, variant }, measured);
          else collector.skip(RIVAL, variant.name, why);
        }
      } finally {
        for (const left of await cluster.removeAll())
          collector.notes.push(`It could not be deleted: ${left}.`);
      }
    }
    return collector.finish(
      {
        program: cluster?.program ?? 'none: nothing was measured',
        rounds: context.quick ? 3 : 20,
        order: `one after the other: ${measured.join('; ') || 'none'}`,
        warmUp: 'none for first requests but of the client; 3 s before each loop',
      },
      PUBLISHED['pools'],
    );
  },
};

async function measure(run: Run, measured: string[]): Promise<void> {
  const { context, collector, variant } = run;
  const parts = [
    ['first requests', coldStarts],
    ['ten at once', bursts],
    ['load', loops],
    ['scale-up', scaleUp],
  ] as const;
  for (const [what, part] of parts) {
    context.say(`${variant.name}: ${what}`);
    try {
      await part(run);
    } catch (error) {
      collector.skip(
        RIVAL,
        `${variant.name}: ${what}`,
        `failed: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  measured.push(variant.name);
}

function figure({ variant }: Run, metric: string, each: string, more: Partial<Figure> = {}): Figure {
  return { rival: RIVAL, at: { runs: variant.name }, unit: 'ms', better: 'less', metric, each, ...more };
}

async function coldStarts(run: Run): Promise<void> {
  const { context, collector, cluster, variant } = run;
  const first: number[] = [];
  for (let i = 0; i < (context.quick ? 3 : 20); i++) {
    const url = await cluster.deploy({ variant });
    // As Fission's own benchmark does: until the pool has made up for the pod that was taken.
    await cluster.poolReady(variant, 1);
    first.push((await askOk(`${url}/`)).ms);
    collector.add(figure(run, 'warm: second request', 'one request'), (await askOk(`${url}/`)).ms);
    await cluster.remove(url);
  }
  collector.add(figure(run, 'cold: first request', 'one function'), ...first);
  collector.add(figure(run, 'cold: first request, p95', `of ${first.length}`), quantile(first, 0.95));
}

async function bursts(run: Run): Promise<void> {
  const { context, collector, cluster, variant } = run;
  for (let round = 0; round < (context.quick ? 1 : 3); round++) {
    for (const functions of [1, AT_ONCE]) {
      const urls: string[] = [];
      for (let i = 0; i < functions; i++) urls.push(await cluster.deploy({ variant }));
      await cluster.poolReady(variant, POOL_SIZE);
      const targets = urls.map((url) => get(`${url}/`));
      const result = await load({ mode: 'burst', targets, connections: AT_ONCE, limitMs: 120_000 });
      const metric = `${AT_ONCE} first requests at once, ${functions === 1 ? 'one function' : 'ten functions'}`;
      const more = { doubts: doubtsOf(result), detail: { ...result } };
      if (result.requests === 0) collector.skip(RIVAL, `${variant.name}: ${metric}`, more.doubts.join('; '));
      else {
        collector.add(figure(run, `${metric}: p50`, 'one burst', more), result.latency.p50);
        collector.add(figure(run, `${metric}: last`, 'one burst', more), result.allDoneMs);
      }
      for (const url of urls) await cluster.remove(url);
    }
  }
}

async function loops(run: Run): Promise<void> {
  const { context, cluster, variant } = run;
  const times = { warmUpMs: context.quick ? 1500 : 3000, durationMs: context.quick ? 3000 : 15_000 };
  const url = await cluster.deploy({ variant, callsPerPod: CALLS_PER_POD, minScale: 1 });
  await askOk(`${url}/`);
  for (const connections of CONNECTIONS)
    await loop(run, `${connections} connections`, {
      ...times,
      mode: 'closed',
      targets: [get(`${url}/`)],
      connections,
    });
  const paced = { mode: 'open', ratePerS: RATE, connections: 1000 } as const;
  await loop(run, `${RATE} requests per second`, { ...times, ...paced, targets: [get(`${url}/`)] });
  await cluster.remove(url);

  // What a function does with a body is its own: hello does not look at it, so a Wasm function is one that reads it all.
  const reader = await cluster.deploy({
    variant,
    callsPerPod: CALLS_PER_POD,
    minScale: 1,
    program: 'torture',
  });
  const target: Target = {
    url: variant.runtime === 'wasm' ? `${reader}/read-all` : `${reader}/`,
    method: 'POST',
    bodyBytes: MIB,
    // Which Node's servers read before they call the function.
    headers: { 'content-type': 'application/octet-stream' },
  };
  await loop(run, 'bodies of 1 MiB', {
    ...times,
    mode: 'closed',
    targets: [target],
    connections: BODY_CONNECTIONS,
  });
  await cluster.remove(reader);
}

async function loop(run: Run, what: string, job: Job): Promise<void> {
  const { collector, variant, context } = run;
  context.say(`${variant.name}: ${what}`);
  const result = await load(job);
  const more = { doubts: doubtsOf(result), detail: { ...result } };
  if (result.requests === 0) return collector.skip(RIVAL, `${variant.name}: ${what}`, more.doubts.join('; '));
  if (job.mode === 'closed')
    collector.add(
      figure(run, `${what}: answers`, 'one run', { ...more, unit: 'req/s', better: 'more' }),
      result.perSecond,
    );
  collector.add(figure(run, `${what}: p50`, 'one run', more), result.latency.p50);
  collector.add(figure(run, `${what}: p99`, 'one run', more), result.latency.p99);
}

/** Under load from one pod on; HPAs look each 15 s. */
async function scaleUp(run: Run): Promise<void> {
  const { collector, cluster, variant } = run;
  if (variant.executor === 'poolmgr') return;
  const url = await cluster.deploy({ variant, minScale: 1 });
  await askOk(`${url}/`);
  const job: Job = {
    mode: 'closed',
    targets: [get(`${url}/`)],
    connections: 100,
    warmUpMs: 0,
    durationMs: SCALE_LIMIT_MS,
  };
  const stop = new AbortController();
  const beganMs = performance.now();
  const ended = load(job, stop.signal).catch(() => undefined);
  try {
    while (performance.now() < beganMs + SCALE_LIMIT_MS) {
      if ((await cluster.podsOf(url)) > 1) {
        collector.add(figure(run, 'scale-up: second pod ready', 'one run'), performance.now() - beganMs);
        return;
      }
      await sleep(250);
    }
    collector.skip(
      RIVAL,
      `${variant.name}: scale-up`,
      `no second pod within ${SCALE_LIMIT_MS / 1000} s; what autoscalers follow is said in the function's Ready condition`,
    );
  } finally {
    stop.abort();
    await ended;
    await cluster.remove(url);
  }
}
