/** How many hosts one pool of them is to have, from look to look: grows at once, shrinks after a time of idling. */
import type { ResolvedScaling } from '../../api/index.ts';
import { RecentPeak, wantedHosts } from '../pool-scaling.ts';

/** What is known at one look. */
export interface HostLoad {
  /** The environment's pool size. */
  readonly minimum: number;
  /** Requests that run, over all hosts. */
  readonly running: number;
  /** Requests that wait, over all functions and routers. */
  readonly queued: number;
  /** Since all ready routers said their loads; null where they have not yet. */
  readonly loadsAgeMs: number | null;
  /** Hosts to have whatever the loads say: somebody waits. */
  readonly least: number;
  /** Hosts that the Deployment asks for now; undefined where it says nothing, which is one. */
  readonly replicas: number | undefined;
}

/** What a router that does not answer has to do is not known: nothing may be taken for idle. */
const LOADS_VALID_MS = 5_000;

export class HostScaling {
  readonly #peak = new RecentPeak();
  #wanted = 1;

  /** Of the last look. */
  get wanted(): number {
    return this.#wanted;
  }

  /** Hosts that were there before this process led count as needed until now: it knows nothing of the time before. */
  found(replicas: number, { idleTimeoutMs }: ResolvedScaling, nowMs: number): void {
    this.#peak.next(replicas, idleTimeoutMs, nowMs);
  }

  /**
   * @param nowMs of a clock that never goes back
   * @returns what the Deployment is to ask for, or null where that is to stay
   */
  next(load: HostLoad, scaling: ResolvedScaling, nowMs: number): number | null {
    const now = Math.max(wantedHosts(load, scaling), load.least);
    // What was needed while the maximum was higher does not hold against it.
    const wanted = Math.min(this.#peak.next(now, scaling.idleTimeoutMs, nowMs), scaling.maxPods);
    this.#wanted = wanted;
    const replicas = load.replicas ?? 1;
    const { loadsAgeMs } = load;
    const areKnown = loadsAgeMs !== null && loadsAgeMs <= LOADS_VALID_MS;
    if (wanted < replicas && !areKnown && replicas <= scaling.maxPods) return null;
    return wanted === load.replicas ? null : wanted;
  }
}
