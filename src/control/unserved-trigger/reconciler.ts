/** Triggers that are kept and checked, but that nothing serves yet: each is told so, and what works instead. */
import {
  type KubernetesWatchTrigger,
  type MessageQueueTrigger,
  resolveKubernetesWatchTrigger,
  resolveMessageQueueTrigger,
  resolveTimeTrigger,
  type TimeTrigger,
} from '../../api/index.ts';
import { RESOURCES, type ResourceType } from '../../kube/index.ts';
import { announce } from '../announce.ts';
import { type Verdict, withConditions } from '../conditions.ts';
import type { ReconcilerContext } from '../context.ts';
import { attempt } from '../resolutions.ts';
import type { WatchedKind } from '../watched.ts';

export type UnservedTrigger = TimeTrigger | MessageQueueTrigger | KubernetesWatchTrigger;
type TriggerStatus = NonNullable<UnservedTrigger['status']>;

interface UnservedKind {
  readonly type: ResourceType;
  readonly message: string;
  /** @throws FissiumError RESOURCE_INVALID where a cluster has stored what we would have refused */
  readonly resolve: (trigger: never) => unknown;
}

/** By kind. */
const KINDS: Readonly<Record<UnservedTrigger['kind'], UnservedKind>> = {
  TimeTrigger: {
    type: RESOURCES.timetriggers,
    message:
      'Kept, but this version does not fire it. Until a later one does, call the function on schedule from outside: from cron or a Kubernetes CronJob, by the URL of an HTTPTrigger or with `fissium function test`.',
    resolve: resolveTimeTrigger,
  },
  MessageQueueTrigger: {
    type: RESOURCES.messagequeuetriggers,
    message:
      'Kept, but this version does not consume its topic. Until a later one does, let a consumer of yours send each message to the URL of an HTTPTrigger.',
    resolve: resolveMessageQueueTrigger,
  },
  KubernetesWatchTrigger: {
    type: RESOURCES.kuberneteswatchtriggers,
    message:
      'Kept, but this version does not watch for it. Until a later one does, let a watcher of yours (`kubectl get --watch -o json`) send each change to the URL of an HTTPTrigger.',
    resolve: resolveKubernetesWatchTrigger,
  },
};

/** What the trigger's `Ready` condition is to say. */
export function judgeUnserved(trigger: UnservedTrigger): Verdict {
  const { message, resolve } = KINDS[trigger.kind];
  // The entry is that of the trigger's own kind.
  const resolved = attempt(() => resolve(trigger as never));
  if (!resolved.ok) return { ready: false, reason: 'Invalid', message: resolved.error.message };
  return { ready: false, reason: 'NotServedYet', message };
}

export class UnservedTriggerReconciler<T extends UnservedTrigger> {
  readonly #context: ReconcilerContext;
  readonly #kind: T['kind'];
  readonly #watched: WatchedKind<T>;

  constructor(context: ReconcilerContext, kind: T['kind'], watched: WatchedKind<T>) {
    this.#context = context;
    this.#kind = kind;
    this.#watched = watched;
  }

  async reconcile(key: string): Promise<void> {
    const { statuses, events, now } = this.#context;
    const trigger = this.#watched.getByKey(key);
    if (trigger === undefined || trigger.metadata.deletionTimestamp !== undefined) return;
    const { type } = KINDS[this.#kind];
    // Objects of a list do not say their kind.
    const verdict = judgeUnserved({ ...trigger, kind: this.#kind } as UnservedTrigger);
    const change = await statuses.write<TriggerStatus>(type, trigger, (before) =>
      withConditions(before, { generation: trigger.metadata.generation ?? 0, verdict, now: now() }),
    );
    announce(events, type, trigger, change);
  }
}
