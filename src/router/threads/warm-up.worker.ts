/**
 * Takes a listener thread's code through a few requests before it gets its first connection. V8 compiles a function
 * when it is first called: without this, the first request in each thread spends some fifteen milliseconds of CPU
 * time on that.
 */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Logger } from 'pino';
import type { ResolvedFunction } from '../../api/index.ts';
import type { Invoker } from '../../executors/executor.ts';
import { createMetrics } from '../../observe/metrics.ts';
import { FunctionTable } from '../function-table.ts';
import { RouteTable } from '../route-table.ts';
import { createRouter } from '../server.ts';

export interface WarmUpOptions {
  readonly logger: Logger;
  readonly version: string;
  /** Runs the function that nobody can call from outside. */
  readonly invoker: Invoker;
  /** Who connects there on this machine, */
  readonly port: number;
  readonly connections: number;
  /** is given to this listener: its thread takes its connections over from another one. */
  readonly onSocket: (accept: (socket: Socket) => void) => void;
}

/** One asks for a receipt, and the last one closes: each takes some code of its own. */
const HEADERS = ['', 'X-Fissium-Receipt: 1\r\n', '', 'Connection: close\r\n'];
const LIMIT_MS = 2000;
const NAMESPACE = 'default';
const NAME = 'warm-up';
const PATH = '/warm-up';

const LIMITS: ResolvedFunction['limits'] = {
  firstByteTimeoutMs: LIMIT_MS,
  idleTimeoutMs: LIMIT_MS,
  totalTimeoutMs: null,
  memoryBytes: 2 ** 27,
  bodyLimitBytes: 2 ** 20,
  concurrency: 10,
  queue: 10,
  cpuTimeMs: LIMIT_MS,
  cpuWeight: 0.1,
};

/**
 * Sends requests to a router of its own, with tables, counts and metrics that nobody else sees, over real sockets of
 * this machine. Rejects where they are not answered in time.
 */
export async function warmUp(options: WarmUpOptions): Promise<void> {
  const { logger, version, invoker, port, connections, onSocket } = options;
  const functions = new FunctionTable();
  const routes = new RouteTable();
  const metrics = createMetrics({ processMetrics: false });
  const router = createRouter({ functions, routes, logger, metrics, version });
  functions.set({
    namespace: NAMESPACE,
    name: NAME,
    uid: NAME,
    resourceVersion: '1',
    limits: LIMITS,
    state: { phase: 'ready', invoker },
  });
  routes.upsert({
    namespace: NAMESPACE,
    name: NAME,
    uid: NAME,
    generation: 0,
    creationTimestamp: '',
    conditions: [],
    notServed: [],
    host: '',
    path: PATH,
    prefix: false,
    keepPrefix: false,
    methods: ['GET'],
    functions: [{ name: NAME, weight: 100 }],
    cors: null,
    exposure: null,
  });
  onSocket((socket) => router.accept(socket));
  try {
    for (let i = 0; i < connections; i++) await talk(port, AbortSignal.timeout(LIMIT_MS));
  } finally {
    await router.close({ graceMs: 0 });
    metrics.close();
  }
}

/** One connection: each request after the answer to the one before. */
async function talk(port: number, signal: AbortSignal): Promise<void> {
  const socket: Socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect', { signal });
    for (const header of HEADERS) {
      socket.write(`GET ${PATH} HTTP/1.1\r\nHost: localhost\r\n${header}\r\n`);
      await once(socket, 'data', { signal });
    }
  } finally {
    socket.destroy();
  }
}
