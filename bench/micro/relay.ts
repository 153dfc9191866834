/**
 * What a request costs a router of a cluster on its way to a pod and back: CPU time of the router's process, which here
 * has only its listener, its tables and one endpoint. The pod is a node:http server; it and the load generator are
 * processes of their own. `lines` is the way of calls whose body is there, `pool` that of all others (undici's), and
 * `none` answers in the router: what is left of a request without the way to a pod.
 *
 *   node bench/micro/relay.ts [--connections 50] [--seconds 4] [--rounds 3]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { get, load, type Target } from '../../src/bench/load/index.ts';
import { median } from '../../src/bench/stats.ts';
import type { InvokeResponse, Invoker } from '../../src/executors/executor.ts';
import { createMetrics } from '../../src/observe/index.ts';
import { ClusterFunction } from '../../src/router/cluster/cluster-function.ts';
import { EndpointGroup } from '../../src/router/cluster/endpoint-group.ts';
import { createRouter, FunctionTable, RouteTable } from '../../src/router/index.ts';
import { limits, trigger } from '../../src/router/testing/resources.ts';

const ANSWER = 'Hello, world!\n';

/** The pod. */
async function serve(): Promise<void> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end(ANSWER));
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  await once(process, 'disconnect');
  server.closeAllConnections();
  server.close();
}

interface Measured {
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: {
      connections: { type: 'string', default: '50' },
      seconds: { type: 'string', default: '4' },
      rounds: { type: 'string', default: '3' },
    },
  });
  const pod = fork(import.meta.filename, {
    execArgv: process.execArgv.filter((arg) => !arg.includes('prof')),
  });
  const [port] = (await once(pod, 'message')) as [number];
  const group = new EndpointGroup({ choice: 'least' });
  group.set('default/pod', `http://127.0.0.1:${port}`);
  const fn = new ClusterFunction(
    {
      namespace: 'default',
      name: 'hello',
      uid: 'uid-hello',
      strategy: 'newdeploy',
      group,
      pathPrefix: '',
      upgrades: false,
      hosts: false,
      sign: undefined,
      onWaiting: () => undefined,
      owner: null,
      trouble: () => null,
    },
    { startTimeoutMs: 10_000, firstByteTimeoutMs: 10_000 },
  );
  const whole: InvokeResponse = {
    status: 200,
    headers: [['content-length', String(ANSWER.length)]],
    body: Buffer.from(ANSWER),
    trailers: [],
    coldStart: false,
  };
  const ways: Readonly<Record<string, Invoker>> = {
    lines: fn,
    pool: { invoke: (request) => fn.invoke(request) },
    none: { invoke: () => Promise.resolve(whole), start: (_request, receiver) => receiver.answered(whole) },
  };
  const functions = new FunctionTable();
  const routes = new RouteTable();
  for (const [name, invoker] of Object.entries(ways)) {
    const state = { phase: 'ready', invoker } as const;
    functions.set({
      namespace: 'default',
      name,
      uid: `uid-${name}`,
      limits: limits({ concurrency: 2000 }),
      state,
    });
    routes.upsert(trigger(name, { methods: ['GET', 'POST'] }));
  }
  const metrics = createMetrics();
  const router = createRouter({ functions, routes, metrics, logger: pino({ level: 'error' }) });
  const at = `http://127.0.0.1:${await router.listen('127.0.0.1', 0)}`;

  const durationMs = Number(values.seconds) * 1000;
  const connections = Number(values.connections);
  const requests: Readonly<Record<string, (way: string) => Target>> = {
    'GET, no body': (way) => get(`${at}/${way}`),
    'POST, 4 KiB': (way) => ({ url: `${at}/${way}`, method: 'POST', bodyBytes: 4096 }),
  };
  for (const [what, target] of Object.entries(requests)) {
    const found = new Map<string, Measured[]>(Object.keys(ways).map((way) => [way, []]));
    for (let round = 0; round < Number(values.rounds); round++) {
      const order = Object.keys(ways);
      for (const way of round % 2 === 0 ? order : order.toReversed()) {
        const job = { mode: 'closed', targets: [target(way)], connections } as const;
        await load({ ...job, warmUpMs: 0, durationMs: 500 });
        const before = process.cpuUsage();
        const result = await load({ ...job, warmUpMs: 0, durationMs });
        const { user, system } = process.cpuUsage(before);
        if (Object.keys(result.errors).length > 0)
          throw new Error(`${way}: requests failed: ${JSON.stringify(result.errors)}`);
        const { perSecond, latency, requests: count } = result;
        found.get(way)?.push({
          cpuUs: (user + system) / count,
          perSecond,
          p50: latency.p50,
          p99: latency.p99,
        });
      }
    }
    process.stdout.write(`${what}, ${connections} connections\n`);
    for (const [way, rounds] of found) {
      const mid = (key: keyof Measured): number => median(rounds.map((round) => round[key]));
      process.stdout.write(
        `  ${way.padEnd(6)} ${mid('cpuUs').toFixed(1).padStart(6)} µs CPU, ${mid('perSecond').toFixed(0).padStart(6)} req/s, p50 ${mid('p50').toFixed(2)} ms, p99 ${mid('p99').toFixed(2)} ms\n`,
      );
    }
  }
  await router.close({ graceMs: 0 });
  metrics.close();
  group.clear();
  pod.disconnect();
}

await (process.send === undefined ? measure() : serve());
