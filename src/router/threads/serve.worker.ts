/**
 * Serves connections in a listener thread: its own tables, kept current by the main thread; guests run here where
 * they can.
 */
import type { Socket } from 'node:net';
import { pino } from 'pino';
import type { ResolvedTrigger } from '../../api/index.ts';
import { interned } from '../../api/interned.ts';
import { FissiumError } from '../../errors.ts';
import type { AnswerReceiver, InvokeRequest, Invoker } from '../../executors/executor.ts';
import { onMessage } from '../../message-port.ts';
import { createMetrics } from '../../observe/metrics.ts';
import { FunctionTable, type FunctionState } from '../function-table.ts';
import { hostGuard } from '../host-guard.ts';
import { RouteTable } from '../route-table.ts';
import { createRouter } from '../server.ts';
import { SharedCounts } from '../shared-counts.ts';
import type { FromListener, FunctionReplica, ListenerStart, TableChange, ToListener } from './protocol.ts';
import { RemoteCalls } from './remote-calls.ts';
import { warmUp } from './warm-up.worker.ts';

/** Runs a function in this thread, by its key. */
export type StartHere = (key: string, request: InvokeRequest, receiver: AnswerReceiver) => void;

/** Begins to serve; goes on until the thread ends. */
export function serveConnections(start: ListenerStart, startHere: StartHere): void {
  const { port } = start;
  const post = (message: FromListener, transfer: ArrayBuffer[] = []): void =>
    port.postMessage(message, transfer);
  const logger = pino({ level: start.logLevel }, pino.destination({ fd: 2, sync: true }));
  const functions = new FunctionTable();
  const routes = new RouteTable();
  const slots = new Map<string, number>();
  /** Functions whose instances are in this thread. */
  const here = new Set<string>();
  const metrics = createMetrics({ processMetrics: false });
  const remote = new RemoteCalls((message, transfer = []) => post({ type: 'call', message }, transfer));
  const guard = hostGuard(start.callKeys);
  let ready = false;
  let warmUpSocket = (socket: Socket): void => void socket.destroy();
  const router = createRouter({
    functions,
    routes,
    logger,
    metrics,
    counts: new SharedCounts(start.counts),
    slotOf: (key) => slots.get(key) ?? 0,
    admission: { maxRequests: start.maxRequests },
    version: start.version,
    fromRouters: start.fromRouters,
    ...(guard === undefined ? {} : { guard }),
    ready: () => ready,
    logs: {
      append: ({ namespace, function: name, requestId, line, timeMs }) =>
        post({ type: 'log', line: { namespace, function: name, requestId, line, timeMs } }),
    },
  });
  metrics.addSource({
    *instances() {
      for (const { namespace, name, running } of router.services.admission.loads())
        if (here.has(`${namespace}/${name}`)) yield { namespace, name, instances: running };
    },
  });
  const connections = new Int32Array(start.connections);

  const apply = (change: TableChange): void => {
    switch (change.do) {
      case 'set-function': {
        const { slot, ...entry } = change.function;
        const key = `${entry.namespace}/${entry.name}`;
        slots.set(key, slot);
        if (entry.state.phase === 'ready' && entry.state.threadKey !== null) here.add(key);
        else here.delete(key);
        functions.set({
          ...entry,
          limits: interned(entry.limits),
          state: stateOf(change.function, startHere, remote),
        });
        return;
      }
      case 'delete-function':
        functions.delete(change.namespace, change.name);
        slots.delete(`${change.namespace}/${change.name}`);
        here.delete(`${change.namespace}/${change.name}`);
        return;
      case 'set-route':
        routes.upsert(slimRoute(change.route));
        return;
      case 'delete-route':
        routes.delete(change.namespace, change.name);
        return;
      case 'set-ready':
        ready = change.ready;
        return;
      default:
        change satisfies never;
    }
  };
  const accept = (socket: Socket): void => {
    socket.once('close', () => Atomics.sub(connections, 0, 1));
    router.accept(socket);
  };

  onMessage(port, (message: ToListener) => {
    switch (message.type) {
      case 'socket':
        accept(message.socket);
        return;
      case 'tables':
        for (const change of message.changes) apply(change);
        post({ type: 'applied', number: message.number });
        return;
      case 'call':
        remote.receive(message.message);
        return;
      case 'measure':
        void metrics.registry
          .getMetricsAsJSON()
          .then((values) => post({ type: 'measured', number: message.number, metrics: values }));
        return;
      case 'warm-up':
        void warmUp({
          logger,
          version: start.version,
          invoker: invokerHere(message.threadKey, startHere),
          port: message.port,
          connections: message.connections,
          onSocket: (take) => (warmUpSocket = take),
        })
          .catch((err: unknown) => logger.debug({ err }, 'the thread was not warmed up'))
          .then(() => post({ type: 'warmed-up' }));
        return;
      case 'warm-up-socket':
        warmUpSocket(message.socket);
        return;
      case 'drain':
        void router.close({ graceMs: message.graceMs }).then(() => post({ type: 'drained' }));
        return;
      default:
        message satisfies never;
    }
  });
}

/** Thousands came one by one, and are alike in most. */
function slimRoute(route: ResolvedTrigger): ResolvedTrigger {
  const { methods, cors, exposure, notServed } = route;
  return {
    ...route,
    methods: interned(methods),
    cors: interned(cors),
    exposure: interned(exposure),
    notServed: interned(notServed),
    // Nobody reads them here.
    conditions: NO_CONDITIONS,
  };
}

const NO_CONDITIONS: ResolvedTrigger['conditions'] = [];

function stateOf(
  { namespace, name, state }: FunctionReplica,
  startHere: StartHere,
  remote: RemoteCalls,
): FunctionState {
  if (state.phase === 'preparing') return state;
  if (state.phase === 'refused') {
    const { code, message } = state.error;
    return { phase: 'refused', error: new FissiumError(code, message) };
  }
  const { threadKey, upgrades } = state;
  const key = `${namespace}/${name}`;
  const invoker: Invoker =
    threadKey === null
      ? { upgrades, invoke: (request) => remote.invoke(key, request) }
      : invokerHere(threadKey, startHere);
  return { phase: 'ready', invoker };
}

function invokerHere(threadKey: string, startHere: StartHere): Invoker {
  return {
    start: (request, receiver) => startHere(threadKey, request, receiver),
    invoke: (request) =>
      new Promise((resolve, reject) => startHere(threadKey, request, { answered: resolve, failed: reject })),
  };
}
