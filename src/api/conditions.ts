import type { Condition } from './schema.ts';

const MESSAGE_LIMIT = 32_768;

/**
 * The list with one condition set. `lastTransitionTime` moves only when `status` changes; where nothing at
 * all changes the very same list comes back, so that `===` tells whether a status need be written.
 */
export function setCondition(
  conditions: readonly Condition[] | undefined,
  condition: Omit<Condition, 'lastTransitionTime'>,
  now: Date,
): readonly Condition[] {
  const list = conditions ?? [];
  const before = list.find(({ type }) => type === condition.type);
  const next: Condition = {
    type: condition.type,
    status: condition.status,
    reason: condition.reason,
    message: condition.message.slice(0, MESSAGE_LIMIT),
    ...(condition.observedGeneration === undefined
      ? {}
      : { observedGeneration: condition.observedGeneration }),
    lastTransitionTime:
      before?.status === condition.status
        ? before.lastTransitionTime
        : now.toISOString().replace(/\.\d+Z$/, 'Z'),
  };
  if (before === undefined) return [...list, next];
  const same =
    before.status === next.status &&
    before.reason === next.reason &&
    before.message === next.message &&
    before.observedGeneration === next.observedGeneration;
  return same ? list : list.map((other) => (other === before ? next : other));
}
