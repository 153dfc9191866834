import type { ResolvedTrigger } from '../../api/index.ts';
import type { FissiumError } from '../../errors.ts';
import type { FunctionEntry, RouteConflict } from '../../router/index.ts';
import type { Verdict } from '../conditions.ts';

export interface TriggerFacts {
  readonly trigger: ResolvedTrigger;
  /** Why the route table did not take it, if so. */
  readonly refusal: FissiumError | null;
  readonly conflicts: readonly RouteConflict[];
  /** Whether a Function of that name exists. */
  readonly exists: (name: string) => boolean;
  /** What the function table has of it. */
  readonly entry: (name: string) => FunctionEntry | undefined;
}

/** What a trigger's `Ready` condition is to say. */
export function judgeTrigger({ trigger, refusal, conflicts, exists, entry }: TriggerFacts): Verdict {
  if (refusal !== null) return { ready: false, reason: 'RouteRefused', message: refusal.message };
  const [conflict] = conflicts;
  if (conflict !== undefined) {
    const { namespace, name } = conflict.winner;
    const methods = [...new Set(conflicts.map(({ method }) => method))].join(', ');
    const host = conflict.host === '' ? '' : ` of host ${conflict.host}`;
    return {
      ready: false,
      reason: 'RouteConflict',
      message: `HTTPTrigger ${namespace}/${name} is older and already takes ${methods} ${conflict.path}${host}. Change the path, the host or the methods of one of them.`,
    };
  }
  for (const { name } of trigger.functions) {
    const shown = `${trigger.namespace}/${name}`;
    if (!exists(name)) {
      return {
        ready: false,
        reason: 'FunctionNotFound',
        message: `There is no Function ${shown}. Create it, for example with \`fissium function create --name ${name}\`.`,
      };
    }
    const state = entry(name)?.state ?? { phase: 'preparing' };
    if (state.phase === 'preparing') {
      return {
        ready: false,
        passing: true,
        reason: 'FunctionNotReady',
        message: `Function ${shown} is being prepared.`,
      };
    }
    if (state.phase === 'refused') {
      return {
        ready: false,
        reason: 'FunctionNotReady',
        message: `Function ${shown} is not served: ${state.error.message}`,
      };
    }
  }
  return { ready: true, reason: 'Served', message: 'The route is served.' };
}
