import type { FissionFunction, ResolvedFunction } from '../../api/index.ts';
import { isAlreadyExists, isConflict, isNotFound, RESOURCES } from '../../kube/index.ts';
import type { ConditionsInput } from '../conditions.ts';
import type { ReconcilerContext } from '../context.ts';
import { planOwnedTrigger } from './owned-trigger.ts';

/** What the short form's route adds to a function's conditions. */
export type RouteCondition = Exclude<NonNullable<ConditionsInput['others']>[number], { remove: string }>;

/** Keeps the triggers that functions own by the short form `spec.route`. */
export class OwnedRoutes {
  readonly #context: ReconcilerContext;

  constructor(context: ReconcilerContext) {
    this.#context = context;
  }

  /** Keeps the trigger of the short form; returns what is to be said about it. */
  async reconcile(fn: FissionFunction, resolved: ResolvedFunction): Promise<RouteCondition | null> {
    const { client, watched, events } = this.#context;
    const { namespace, name } = resolved;
    const existing = watched.triggers.get(namespace, name);
    const plan = planOwnedTrigger(fn, resolved, existing);
    try {
      switch (plan.kind) {
        case 'none':
          return null;
        case 'taken':
          return { type: 'Route', status: 'False', reason: 'TriggerNotOwned', message: plan.message };
        case 'create':
          await client.create(RESOURCES.httptriggers, plan.trigger);
          events.recordEvent(
            RESOURCES.functions,
            fn,
            'Normal',
            'RouteCreated',
            `HTTPTrigger ${name} was made for spec.route.`,
          );
          return null;
        case 'update':
          await client.patchMerge(RESOURCES.httptriggers, namespace, name, {
            metadata: { resourceVersion: existing?.metadata.resourceVersion },
            spec: plan.spec,
          });
          return null;
        case 'remove':
          await client.remove(RESOURCES.httptriggers, namespace, name, { uid: existing?.metadata.uid });
          return null;
      }
    } catch (error) {
      // The cache was behind: the watch brings what is there, and the function with it.
      if (isAlreadyExists(error) || isConflict(error) || isNotFound(error)) {
        const now = watched.triggers.get(namespace, name);
        if (now?.metadata.resourceVersion === existing?.metadata.resourceVersion) throw error;
        return null;
      }
      throw error;
    }
  }
}
