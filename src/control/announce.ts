import type { Events, KubeObject, ResourceType } from '../kube/index.ts';
import { findCondition, type StatusChange } from './status.ts';

interface ReadyStatus {
  conditions?: {
    type: string;
    status: 'True' | 'False' | 'Unknown';
    reason: string;
    message: string;
    lastTransitionTime: string;
  }[];
}

/**
 * An event on the object where a status write changed what `Ready` says: a warning for each new failure, and a
 * normal one when it becomes ready.
 */
export function announce(
  events: Events,
  kind: ResourceType,
  object: KubeObject,
  { changed, before, after }: StatusChange<ReadyStatus>,
): void {
  if (!changed) return;
  const was = findCondition(before, 'Ready');
  const is = findCondition(after, 'Ready');
  if (is === undefined) return;
  if (is.status === 'True') {
    if (was?.status !== 'True') events.recordEvent(kind, object, 'Normal', is.reason, is.message);
  } else if (was?.status !== 'False' || was.reason !== is.reason || was.message !== is.message) {
    events.recordEvent(kind, object, 'Warning', is.reason, is.message);
  }
}
