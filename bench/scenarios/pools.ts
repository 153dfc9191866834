/**
 * Functions in pods of their own, on a cluster: pool manager, new deployment and container, in the shape of Fission's
 * own benchmarks, so that its published figures stand beside ours.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { warmClient, askOk } from '../../src/bench/ask.ts';
import { Collector } from '../../src/bench/collector.ts';
import { doubtsOf, get, load } from '../../src/bench/load/index.ts';
import { PoolCluster, type Executor } from '../pool-cluster.ts';
import { PUBLISHED } from './published.ts';
import type { Scenario, ScenarioContext } from './scenario.ts';

const EXECUTORS: readonly Executor[] = ['poolmgr', 'newdeploy', 'container'];
/** The name of what is measured: whatever platform the cluster runs. */
const RIVAL = 'fissium';
const AT_ONCE = 10;
const CONNECTIONS = [50, 500];
const RATE = 1000;

export const pools: Scenario = {
  name: 'pools',
  title: 'Pools and pods',
  what: 'On a cluster: first requests to functions in pods (pool manager, new deployment, container), ten first requests at once to one function and to ten, then the load that Fission publishes figures of: 50 and 500 connections, and 1,000 requests per second.',
  async run(context) {
    const collector = new Collector(pools);
    const executors: string[] = [];
    const cluster = await PoolCluster.open(context.cluster).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      for (const executor of EXECUTORS) collector.skip(RIVAL, executor, why);
      return null;
    });
    if (cluster !== null) {
      if (context.cluster.image === 'wasm')
        collector.notes.push(
          'The environment is `wasm`: functions run in threads of the platform, and no pod is made for them. Do not set these figures beside those of pods.',
        );
      await warmClient();
      try {
        for (const executor of EXECUTORS) {
          const why = cluster.refuses(executor);
          if (why !== null) {
            collector.skip(RIVAL, executor, why);
            continue;
          }
          context.say(executor);
          try {
            await measure(context, collector, cluster, executor);
            executors.push(executor);
          } catch (error) {
            collector.skip(
              RIVAL,
              executor,
              `failed: ${error instanceof Error ? error.message : String(error)}`,
            );
          }
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
        order: `one executor after the other: ${executors.join(', ') || 'none'}`,
        warmUp: 'none for first requests but of the client; 3 s before each loop',
      },
      PUBLISHED['pools'],
    );
  },
};

async function measure(
  { quick, say }: ScenarioContext,
  collector: Collector,
  cluster: PoolCluster,
  executor: Executor,
): Promise<void> {
  const common = { rival: RIVAL, at: { executor }, unit: 'ms', better: 'less' } as const;
  for (let i = 0; i < (quick ? 3 : 20); i++) {
    const url = await cluster.deploy(executor);
    // Fission's own benchmark waits as well: until the pool has made up for the pod that was taken.
    await sleep(quick ? 0 : 2000);
    collector.add({ ...common, metric: 'cold: first request', each: 'one function' }, (await askOk(url)).ms);
    collector.add({ ...common, metric: 'warm: second request', each: 'one request' }, (await askOk(url)).ms);
    await cluster.remove(url);
  }
  for (const functions of [1, AT_ONCE]) {
    say(`${AT_ONCE} first requests at once, ${functions} functions`);
    const urls: string[] = [];
    for (let i = 0; i < functions; i++) urls.push(await cluster.deploy(executor));
    const targets = urls.map((url) => get(url));
    const result = await load({ mode: 'burst', targets, connections: AT_ONCE, limitMs: 120_000 });
    const metric = `${AT_ONCE} first requests at once, ${functions === 1 ? 'one function' : 'ten functions'}`;
    const figure = { ...common, doubts: doubtsOf(result), detail: { ...result }, each: 'one burst' };
    if (result.requests === 0) collector.skip(RIVAL, `${executor}: ${metric}`, figure.doubts.join('; '));
    else {
      collector.add({ ...figure, metric: `${metric}: p50` }, result.latency.p50);
      collector.add({ ...figure, metric: `${metric}: last` }, result.allDoneMs);
    }
    for (const url of urls) await cluster.remove(url);
  }
  const url = await cluster.deploy(executor);
  await askOk(url);
  const times = { warmUpMs: 3000, durationMs: quick ? 3000 : 15_000 };
  for (const connections of CONNECTIONS) {
    say(`${connections} connections`);
    const result = await load({ ...times, mode: 'closed', targets: [get(url)], connections });
    const figure = { ...common, doubts: doubtsOf(result), detail: { ...result }, each: 'one run' };
    if (result.requests === 0) {
      collector.skip(RIVAL, `${executor}: ${connections} connections`, figure.doubts.join('; '));
      continue;
    }
    // From one pod to as many as the load wants: the scale-up is in the latencies of the run.
    collector.add(
      { ...figure, metric: `${connections} connections: answers`, unit: 'req/s', better: 'more' },
      result.perSecond,
    );
    collector.add({ ...figure, metric: `${connections} connections: p50` }, result.latency.p50);
    collector.add({ ...figure, metric: `${connections} connections: p99` }, result.latency.p99);
  }
  say(`${RATE} requests per second`);
  const result = await load({
    ...times,
    mode: 'open',
    targets: [get(url)],
    ratePerS: RATE,
    connections: 1000,
  });
  if (result.requests > 0) {
    const figure = { ...common, doubts: doubtsOf(result), detail: { ...result }, each: 'one run' };
    collector.add({ ...figure, metric: `rate ${RATE}: p50` }, result.latency.p50);
    collector.add({ ...figure, metric: `rate ${RATE}: p99` }, result.latency.p99);
  }
  await cluster.remove(url);
}
