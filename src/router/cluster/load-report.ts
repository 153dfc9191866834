import type { EndpointLoadReport, FunctionLoadReport, LoadReport } from '../../executors/loads.ts';
import type { FunctionLoad } from '../admission.ts';
import type { ClusterFunction } from './cluster-function.ts';
import type { EndpointGroup } from './endpoint-group.ts';

/** What was called longer ago than this is not reported. */
const REPORTED_MS = 600_000;

export interface LoadSources {
  readonly functions: Iterable<ClusterFunction>;
  readonly groups: Iterable<EndpointGroup>;
  /** Calls that wait for their turn, by function. */
  readonly queued: Iterable<FunctionLoad>;
}

/** What this router's functions and endpoints have to do now. */
export function loadReport({ functions, groups, queued }: LoadSources): LoadReport {
  const nowMs = performance.now();
  const inQueue = new Map<string, number>();
  for (const { namespace, name, queued: calls } of queued) inQueue.set(`${namespace}/${name}`, calls);
  const functionReports: FunctionLoadReport[] = [];
  for (const fn of functions) {
    const idleMs = Math.round(fn.idleMs(nowMs));
    if (idleMs > REPORTED_MS) continue;
    const { namespace, name, uid, strategy } = fn.parts;
    const waiting = fn.waiting + (inQueue.get(`${namespace}/${name}`) ?? 0);
    functionReports.push({ namespace, name, uid, strategy, running: fn.running, queued: waiting, idleMs });
  }
  const endpoints: EndpointLoadReport[] = [];
  for (const group of groups) {
    for (const endpoint of [...group.endpoints(), ...group.past()]) {
      const { key, running } = endpoint;
      endpoints.push({ pod: key, running, idleMs: Math.round(endpoint.idleMs(nowMs)) });
    }
  }
  return { functions: functionReports, endpoints };
}
