import type { HttpTrigger } from '../../api/index.ts';
import { type Events, RESOURCES } from '../../kube/index.ts';
import { findCondition, type StatusChange } from '../status.ts';
import { CONDITION_TYPES } from './exposures.ts';

/** An event where a status write changed what is said of the trigger's Ingress or HTTPRoute. */
export function announceExposure(
  events: Events,
  trigger: HttpTrigger,
  { changed, before, after }: StatusChange<NonNullable<HttpTrigger['status']>>,
): void {
  if (!changed) return;
  for (const type of Object.values(CONDITION_TYPES)) {
    const was = findCondition(before, type);
    const is = findCondition(after, type);
    if (is === undefined || (was?.status === is.status && was.message === is.message)) continue;
    const isMade = is.status === 'True';
    // `Created` alone would not say what.
    const reason = isMade ? type : is.reason;
    events.recordEvent(RESOURCES.httptriggers, trigger, isMade ? 'Normal' : 'Warning', reason, is.message);
  }
}
