import { type Condition, setCondition } from '../api/index.ts';
import { findCondition } from './status.ts';

/** What a reconciler found out about an object: its `Ready` condition, without times. */
export interface Verdict {
  readonly ready: boolean;
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
  /**
   * Something that passes by itself (a package still being prepared): written only where nothing was written
   * yet, so that a restart or an update does not flap.
   */
  readonly passing?: boolean;
  /** Work that is being done, and will end: told at once, whatever the condition was. */
  readonly underWay?: boolean;
}

interface ConditionsStatus {
  observedGeneration?: number;
  conditions?: Condition[];
}

export interface ConditionsInput {
  readonly generation: number;
  readonly verdict: Verdict;
  readonly now: Date;
  /** Fields that are kept but not served, for the `Served` condition. */
  readonly notServed?: readonly string[];
  /** Further conditions; `remove` takes a condition away that no longer says anything. */
  readonly others?: readonly (
    | Omit<Condition, 'lastTransitionTime' | 'observedGeneration'>
    | { remove: string }
  )[];
}

/** The status with `Ready`, `Served` and the others as they should be; unchanged where they already are. */
export function withConditions<S extends ConditionsStatus>(status: S | undefined, input: ConditionsInput): S {
  const { verdict, generation, now, notServed = [], others = [] } = input;
  const before = (status ?? {}) as S;
  if (verdict.passing === true && findCondition(before, 'Ready') !== undefined) return before;

  let conditions: readonly Condition[] = before.conditions ?? [];
  const set = (condition: Omit<Condition, 'lastTransitionTime' | 'observedGeneration'>): void => {
    conditions = setCondition(conditions, { ...condition, observedGeneration: generation }, now);
  };
  set({
    type: 'Ready',
    // What passes by itself is neither: whoever waits goes on waiting.
    status: verdict.ready
      ? 'True'
      : verdict.passing === true || verdict.underWay === true
        ? 'Unknown'
        : 'False',
    reason: verdict.reason,
    message: verdict.message,
  });
  if (notServed.length > 0) {
    set({
      type: 'Served',
      status: 'False',
      reason: 'FieldsNotServed',
      message: `Kept, but not served by this version: ${notServed.join(', ')}.`,
    });
  } else {
    conditions = without(conditions, 'Served');
  }
  for (const other of others) {
    if ('remove' in other) conditions = without(conditions, other.remove);
    else set(other);
  }
  return { ...before, observedGeneration: generation, conditions: [...conditions] };
}

function without(conditions: readonly Condition[], type: string): readonly Condition[] {
  return conditions.some((condition) => condition.type === type)
    ? conditions.filter((condition) => condition.type !== type)
    : conditions;
}
