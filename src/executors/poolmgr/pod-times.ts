import { type PodStage, type PoolPod, restartsOf, stageOf } from './pool-pod.ts';

interface Seen {
  stage: PodStage;
  sinceMs: number;
  /** Of the runtime, when the pod came to serve. */
  restarts: number;
}

/** Since when, by this process's own clock, each pod has been what it is; after a change of leader that begins anew. */
export class PodTimes {
  readonly #seen = new Map<string, Seen>();

  /** Takes note of what the pods are now, and forgets all others. */
  update(pods: readonly PoolPod[], nowMs: number): void {
    const gone = new Set(this.#seen.keys());
    for (const pod of pods) {
      const uid = pod.metadata.uid ?? '';
      gone.delete(uid);
      const stage = stageOf(pod);
      const seen = this.#seen.get(uid);
      if (seen === undefined) this.#seen.set(uid, { stage, sinceMs: nowMs, restarts: restartsOf(pod) });
      else if (seen.stage !== stage) {
        Object.assign(seen, { stage, sinceMs: nowMs });
        if (stage === 'serving') seen.restarts = restartsOf(pod);
      }
    }
    for (const uid of gone) this.#seen.delete(uid);
  }

  /** How long the pod has been in its stage. */
  age({ metadata }: PoolPod, nowMs: number): number {
    return nowMs - (this.#seen.get(metadata.uid ?? '')?.sinceMs ?? nowMs);
  }

  /** Whether its runtime was started again since it serves. */
  wasRestarted(pod: PoolPod): boolean {
    const seen = this.#seen.get(pod.metadata.uid ?? '');
    return seen !== undefined && restartsOf(pod) > seen.restarts;
  }
}
