/** What `custom.metrics.k8s.io` tells of functions. */
import { IN_FLIGHT_METRIC, QUEUED_METRIC } from '../executors/deployments/index.ts';
import type { FunctionLoadReport } from '../executors/loads.ts';

/** By name, from what the routers say; a function that none of them has heard of has no calls. */
export const METRICS: Readonly<Record<string, (load: FunctionLoadReport | undefined) => number>> = {
  [IN_FLIGHT_METRIC]: (load) => load?.running ?? 0,
  [QUEUED_METRIC]: (load) => load?.queued ?? 0,
};
