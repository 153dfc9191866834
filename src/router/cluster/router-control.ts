/**
 * What a router on a cluster serves, from what it watches: functions and their endpoints, and routes. It writes
 * nothing. What it has learnt it goes on serving while the API server is away.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';

import type { HostCallSigner } from '../../auth/host-calls.ts';
import type { RequestSigner } from '../../auth/request-signer.ts';
import type { FissionFunction, ResolvedFunction } from '../../api/index.ts';
import { environmentOf, functionOf, triggerOf } from '../../control/resolutions.ts';
import { onSpecChange } from '../../control/spec-change.ts';
import { findCondition } from '../../control/status.ts';
import { ENVIRONMENTS, FUNCTIONS, InformedKind, TRIGGERS } from '../../control/watched.ts';
import { FissiumError } from '../../errors.ts';
import type { LoadReport } from '../../executors/loads.ts';
import { type KubeClient, keyOf, type KubeObject } from '../../kube/index.ts';
import type { Admission } from '../admission.ts';
import { FUNCTION_PREFIX } from '../function-path.ts';
import type { FunctionState, FunctionTable } from '../function-table.ts';
import type { RouteTable } from '../route-table.ts';
import { ClusterFunction, type ClusterFunctionParts, type StartTimes } from './cluster-function.ts';
import { DemandReporter } from './demand.ts';
import type { EndpointGroup } from './endpoint-group.ts';
import { loadReport } from './load-report.ts';
import { Peers } from './peers.ts';
import { functionGroup, hostsGroup, Topology } from './topology.ts';

export interface RouterControlOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** The control plane's. */
  readonly namespace: string;
  /** Whose resources are served; empty for all. */
  readonly namespaces: readonly string[];
  readonly podName: string;
  /** The Service whose endpoints are all routers. */
  readonly peersService: string;
  /** See {@link DemandOptions} and {@link PeersOptions}. */
  readonly signDemand?: RequestSigner;
  readonly signCall?: RequestSigner;
  /** For calls at the Wasm hosts of a namespace. @default nothing is signed */
  readonly hostSignerOf?: (namespace: string) => HostCallSigner | undefined;
  readonly functions: FunctionTable;
  /** Functions as other routers call them here: by this router's own endpoints. */
  readonly peerFunctions: FunctionTable;
  readonly routes: RouteTable;
  readonly admission: Pick<Admission, 'loads'>;
}

export interface RouterControl {
  /** Resolves when what was there at the start is in the tables. */
  synced(): Promise<void>;
  /** The body of `GET /v1/loads`. */
  loads(): LoadReport;
  close(): Promise<void>;
}

interface Known {
  readonly object: FissionFunction;
  readonly fn: ClusterFunction | null;
}

export function startRouterControl(options: RouterControlOptions): RouterControl {
  const { client, logger, namespaces, routes } = options;
  const scope = namespaces.length === 0 ? undefined : namespaces;
  const functions = new InformedKind({ ...FUNCTIONS, client, logger }, scope);
  const environments = new InformedKind({ ...ENVIRONMENTS, client, logger }, scope);
  const triggers = new InformedKind({ ...TRIGGERS, client, logger }, scope);
  const topology = new Topology({ client, logger, namespaces });
  const peers = new Peers({ ...options, service: options.peersService });
  const demand = new DemandReporter(options);
  const known = new Map<string, Known>();

  const drop = (key: string): void => {
    const before = known.get(key);
    if (before === undefined) return;
    known.delete(key);
    const { namespace = '', name } = before.object.metadata;
    options.functions.delete(namespace, name);
    options.peerFunctions.delete(namespace, name);
  };

  const place = (object: FissionFunction): void => {
    const key = keyOf(object);
    const before = known.get(key);
    const resolved = functionOf(object);
    if (!resolved.ok) {
      drop(key);
      return;
    }
    const { value } = resolved;
    const plan = planEndpoints(value, environments.getByKey(keyFor(value.environment)));
    if (!plan.ok) {
      known.set(key, { object, fn: null });
      const state: FunctionState = { phase: 'refused', error: plan.error };
      for (const table of [options.functions, options.peerFunctions])
        table.set(entryOf(object, value, state));
      return;
    }
    const group = topology.group(plan.group, { choice: plan.shared ? 'affinity' : 'least' });
    if (plan.pods !== null) group.setLimit(plan.pods.requestsPerPod, plan.pods.onceOnly);
    const fn =
      before?.fn?.parts.group === group && before.fn.parts.uid === value.uid
        ? before.fn
        : makeFunction(value, group, plan.shared, plan.pods !== null);
    fn.times = timesOf(value);
    known.set(key, { object, fn });
    options.functions.set(entryOf(object, value, { phase: 'ready', invoker: fn }));
    options.peerFunctions.set(entryOf(object, value, { phase: 'ready', invoker: fn.local }));
  };

  const makeFunction = (
    value: ResolvedFunction,
    group: EndpointGroup,
    shared: boolean,
    owned: boolean,
  ): ClusterFunction => {
    const { namespace, name, uid, strategy } = value;
    const parts: ClusterFunctionParts = {
      namespace,
      name,
      uid,
      strategy,
      group,
      upgrades: !shared,
      hosts: shared,
      sign: shared ? options.hostSignerOf?.(namespace) : undefined,
      pathPrefix: shared ? `${FUNCTION_PREFIX}${namespace}/${name}` : '',
      onWaiting: demand.wanted,
      owner: owned ? () => peers.ownerOf(uid) : null,
      trouble: () => {
        const object = functions.get(namespace, name);
        const ready = findCondition(object?.status, 'Ready');
        return ready?.status === 'False' ? ready.message : null;
      },
    };
    return new ClusterFunction(parts, timesOf(value));
  };

  const route = (trigger: Parameters<typeof triggerOf>[0], gone: boolean): void => {
    const { namespace = '', name } = trigger.metadata;
    const resolved = triggerOf(trigger);
    if (gone || !resolved.ok) {
      routes.delete(namespace, name);
      return;
    }
    try {
      routes.upsert(resolved.value);
    } catch (err) {
      // The trigger's status says so too.
      logger.warn({ err, trigger: `${namespace}/${name}` }, 'a route is not served');
      routes.delete(namespace, name);
    }
  };

  const isGone = (object: KubeObject, change: string): boolean =>
    change === 'delete' || object.metadata.deletionTimestamp !== undefined;
  onSpecChange(environments, (environment) => {
    for (const fn of functions.byIndex('environment', keyOf(environment))) place(fn);
  });
  onSpecChange(functions, (fn, change) => {
    if (isGone(fn, change)) drop(keyOf(fn));
    else place(fn);
  });
  onSpecChange(triggers, (trigger, change) => route(trigger, isGone(trigger, change)));

  const parts = [topology, peers, demand, environments, functions, triggers];
  for (const part of parts) part.start();
  const synced = Promise.all(parts.map((part) => part.synced())).then(() => nextTurn());
  synced.catch(() => {});
  return {
    synced: () => synced,
    loads: () =>
      loadReport({
        functions: [...known.values()].flatMap(({ fn }) => (fn === null ? [] : [fn])),
        groups: topology.groups(),
        queued: options.admission.loads(),
      }),
    close: async () => {
      await Promise.all(parts.map((part) => part.close()));
    },
  };
}

type EndpointPlan =
  | {
      readonly ok: true;
      readonly group: string;
      /** Whether the endpoints serve other functions as well, and are called by name. */
      readonly shared: boolean;
      /** How many calls pods take, where it is this platform that keeps to it. */
      readonly pods: ResolvedFunction['pods'] | null;
    }
  | { readonly ok: false; readonly error: FissiumError };

/** Where the endpoints of a function are found. */
function planEndpoints(
  fn: ResolvedFunction,
  environment: Parameters<typeof environmentOf>[0] | undefined,
): EndpointPlan {
  const { strategy, uid, namespace, name } = fn;
  if (strategy === 'container') return { ok: true, group: functionGroup(uid), shared: false, pods: null };
  const resolved = environment && environmentOf(environment);
  if (resolved === undefined) {
    const { environment: named } = fn;
    return refuse(
      `Function ${namespace}/${name} needs Environment ${named.namespace}/${named.name}, which does not exist.`,
    );
  }
  if (!resolved.ok) return refuse(resolved.error.message);
  const { wasm } = resolved.value;
  if (strategy === 'newdeploy') {
    // A Wasm host calls its one function by name as well.
    return { ok: true, group: functionGroup(uid), shared: wasm, pods: null };
  }
  if (wasm) return { ok: true, group: hostsGroup(fn.environment, namespace), shared: true, pods: null };
  return { ok: true, group: functionGroup(uid), shared: false, pods: fn.pods };
}

function timesOf({ startTimeoutMs, limits }: ResolvedFunction): StartTimes {
  return { startTimeoutMs, firstByteTimeoutMs: limits.firstByteTimeoutMs };
}

function refuse(message: string): EndpointPlan {
  return { ok: false, error: new FissiumError('FUNCTION_NOT_READY', message) };
}

function entryOf(
  { metadata: { resourceVersion } }: FissionFunction,
  { namespace, name, uid, limits }: ResolvedFunction,
  state: FunctionState,
) {
  return {
    namespace,
    name,
    uid,
    limits,
    state,
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

function keyFor({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`;
}
