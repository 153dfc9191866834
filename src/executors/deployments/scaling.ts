/** How many pods a function should have now, where the controller decides it; pure. Otherwise the HPA does. */
import type { ResolvedScale } from '../../api/index.ts';
import type { Demand } from '../strategy.ts';

/** Where no environment says it: more calls waiting than these bring at once as many pods as they need. */
export const QUEUE_THRESHOLD = 50;

export interface Load extends Demand {
  /** Since the last call ended; 0 while one runs. */
  readonly idleMs: number;
}

/** Within the function's bounds; none stay none. */
export function withinBounds(replicas: number, { min, max }: ResolvedScale): number {
  if (replicas === 0 && min === 0) return 0;
  return Math.min(Math.max(replicas, min, 1), max);
}

/**
 * Calls wait: from none to what they need, and from some to more where that is urgent. Never fewer than there are.
 */
export function forDemand(
  replicas: number,
  { running, queued }: Demand,
  scale: ResolvedScale,
  isUrgent: boolean,
): number {
  if (running + queued === 0) return replicas;
  if (replicas > 0 && !isUrgent) return replicas;
  const needed = Math.max(1, Math.ceil((running + queued) / scale.callsPerPod));
  return Math.max(replicas, Math.min(needed, scale.max));
}

/** Whether nobody has called for so long that the last pods may go. */
export function mayRest(
  load: Load | undefined,
  { quietMs, idleTimeoutMs }: { readonly quietMs: number; readonly idleTimeoutMs: number },
): boolean {
  // What this controller saw itself counts as well: routers that have just started know nothing.
  if (quietMs < idleTimeoutMs) return false;
  if (load === undefined) return true;
  return load.running === 0 && load.queued === 0 && load.idleMs >= idleTimeoutMs;
}
