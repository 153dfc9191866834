/** Waits until a change is in effect, or says why it is not. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Condition } from '../api/index.ts';
import type { KubeObject } from '../kube/index.ts';
import type { Cluster, ResourceType } from './cluster.ts';
import { conditionOf } from './common.ts';
import type { Output } from './output.ts';

const FIRST_PAUSE_MS = 15;
const LONGEST_PAUSE_MS = 500;
/** How long a reason that may only be the platform's watches being behind is not believed. */
const BELIEVE_AFTER_MS = 3000;

/** What became of a change. */
export type Outcome =
  | { readonly type: 'ready'; readonly message: string }
  | { readonly type: 'not-ready'; readonly reason: string; readonly message: string }
  /** Still under way when the time was up. */
  | { readonly type: 'timeout'; readonly reason: string; readonly message: string }
  | { readonly type: 'deleted' };

type WithConditions = KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] } };

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly out: Output;
  /** What is shown while it takes long. */
  readonly text: string;
  /**
   * What the resource refers to has just been seen in the API, so that `…NotFound` at first only means that the
   * platform has not seen it yet. @default true
   */
  readonly referencesExist?: boolean;
}

/** Waits for `Ready` of the generation of `object`, as it was answered to the write. */
export async function waitReady(
  cluster: Cluster,
  type: ResourceType,
  object: KubeObject,
  { timeoutMs, out, text, referencesExist = true }: WaitOptions,
): Promise<Outcome> {
  const { name, namespace = cluster.namespace, generation = 1 } = object.metadata;
  const progress = out.progress(text);
  try {
    const started = performance.now();
    const deadline = started + timeoutMs;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)) {
      const current = await cluster.find<WithConditions>(type, name, namespace);
      if (current === undefined) return { type: 'deleted' };
      const ready = conditionOf(current, 'Ready');
      const observed = ready !== undefined && (ready.observedGeneration ?? 0) >= generation;
      if (observed && ready.status === 'True') return { type: 'ready', message: ready.message };
      const isEarly = referencesExist && performance.now() - started < BELIEVE_AFTER_MS;
      if (
        observed &&
        ready.status === 'False' &&
        !isUnderWay(ready) &&
        !(isEarly && ready.reason.endsWith('NotFound'))
      ) {
        return { type: 'not-ready', reason: ready.reason, message: ready.message };
      }
      if (performance.now() + pauseMs > deadline) {
        return {
          type: 'timeout',
          reason: ready?.reason ?? '',
          message: ready?.message ?? 'the platform has not looked at it: is it running?',
        };
      }
      if (observed) progress.update(`${text}: ${ready.message}`);
      await sleep(pauseMs);
    }
  } finally {
    progress.end();
  }
}

const UNDER_WAY = new Set(['Preparing', 'PackagePending', 'BuildPending', 'BuildRunning']);

/** Whether a condition says that the platform is still at it. */
function isUnderWay({ status, reason, message }: Condition): boolean {
  if (status === 'Unknown' || UNDER_WAY.has(reason)) return true;
  return reason === 'FunctionNotReady' && message.endsWith('is being prepared.');
}
