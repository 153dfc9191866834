/** Listener threads with a Wasm host behind them, as a test uses them. */
import { pino } from 'pino';
import type { DeployedFunction } from '../../../../runtimes/wasm/host.ts';
import { TestHost, type DeployOptions } from '../../../../runtimes/wasm/testing/host.ts';
import type { PlatformMetrics } from '../../../observe/measurements.ts';
import { createMetrics } from '../../../observe/metrics.ts';
import { FunctionTable } from '../../function-table.ts';
import { RouteTable } from '../../route-table.ts';
import { SharedCounts } from '../../shared-counts.ts';
import { fetchFrom, type Answer, type Ask } from '../../testing/harness.ts';
import { limits, trigger } from '../../testing/resources.ts';
import { ListenerThreads, type ListenerThreadsOptions } from '../listener-threads.ts';

export interface Platform {
  readonly host: TestHost;
  readonly router: ListenerThreads;
  readonly functions: FunctionTable;
  readonly routes: RouteTable;
  readonly metrics: PlatformMetrics;
  readonly lines: string[];
  readonly port: number;
  /** Deploys a guest of `test/guests/built`, or what is deployed already, below `/NAME`. */
  deploy(
    name: string,
    guest: string | DeployedFunction,
    parts?: Parameters<typeof limits>[0],
    options?: DeployOptions,
  ): Promise<void>;
  ask(path: string, ask?: Ask): Promise<Answer>;
}

const platforms: Platform[] = [];

/** Ends all that a test started; after each. */
export async function closePlatforms(): Promise<void> {
  for (const { router, host, metrics } of platforms.splice(0)) {
    await router.close({ graceMs: 0 });
    await host.close();
    metrics.close();
  }
}

export async function startPlatform(
  threads = 2,
  options: Pick<ListenerThreadsOptions, 'fromRouters' | 'callKeys'> = {},
): Promise<Platform> {
  const functions = new FunctionTable();
  const routes = new RouteTable();
  const metrics = createMetrics({ processMetrics: false });
  const lines: string[] = [];
  const router = new ListenerThreads({
    functions,
    routes,
    counts: new SharedCounts(),
    metrics,
    logs: { append: ({ line }) => lines.push(line) },
    logger: pino({ level: 'silent' }),
    version: '1',
    ...options,
  });
  const host = await TestHost.start(threads, { listeners: router });
  const port = await router.listen('127.0.0.1', 0);
  const platform: Platform = {
    host,
    router,
    functions,
    routes,
    metrics,
    lines,
    port,
    deploy: async (name, guest, parts = {}, options = {}) => {
      const invoker =
        typeof guest === 'string'
          ? await host.deploy(guest, { onLog: ({ line }) => lines.push(line), ...options })
          : guest;
      functions.set({
        namespace: 'default',
        name,
        uid: `uid-${name}`,
        limits: limits(parts),
        state: { phase: 'ready', invoker },
      });
      routes.upsert(trigger(name, { prefix: true, methods: ['GET', 'POST'] }));
      await router.settled();
    },
    ask: (path, ask) => fetchFrom(port, path, ask),
  };
  platforms.push(platform);
  return platform;
}
