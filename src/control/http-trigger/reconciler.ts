import { type HttpTrigger, type ResolvedTrigger, triggerFieldsNotServed } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import { keyOf, RESOURCES, splitKey } from '../../kube/index.ts';
import { announce } from '../announce.ts';
import { type Verdict, withConditions } from '../conditions.ts';
import type { ReconcilerContext } from '../context.ts';
import { announceExposure } from '../exposure/announce.ts';
import { CONDITION_TYPES, type ExposureCondition, type Exposures } from '../exposure/exposures.ts';
import { lookUp } from '../look-up.ts';
import type { FunctionTablePort, RouteTablePort } from '../ports.ts';
import type { Patience } from '../patience.ts';
import { triggerOf } from '../resolutions.ts';
import { findCondition } from '../status.ts';
import { judgeTrigger } from './judge.ts';

type TriggerStatus = NonNullable<HttpTrigger['status']>;

export interface TriggerReconcilerParts {
  readonly context: ReconcilerContext;
  readonly functions: FunctionTablePort;
  readonly routes: RouteTablePort;
  readonly patience: Patience;
  /** Makes what shows triggers outside. @default nothing is made; the fields are kept, not served */
  readonly exposures?: Exposures;
}

/** Keeps the route table as the triggers say, and tells each whether it is served. */
export class TriggerReconciler {
  readonly #parts: TriggerReconcilerParts;
  /** Generation and uid of what is in the route table, so that a function's change does not touch the table. */
  readonly #routed = new Map<string, ResolvedTrigger>();

  constructor(parts: TriggerReconcilerParts) {
    this.#parts = parts;
  }

  async reconcile(key: string): Promise<void> {
    const { context, functions, routes } = this.#parts;
    const trigger = context.watched.triggers.getByKey(key);
    const { namespace, name } = splitKey(key);
    if (trigger === undefined || trigger.metadata.deletionTimestamp !== undefined) {
      this.#unroute(key);
      await this.#parts.exposures?.remove(key);
      return;
    }
    const resolved = triggerOf(trigger);
    if (!resolved.ok) {
      this.#unroute(key);
      return this.#write(
        trigger,
        { ready: false, reason: 'Invalid', message: resolved.error.message },
        [],
        null,
      );
    }
    const refusal = this.#route(key, resolved.value);
    const existing = new Set<string>();
    for (const { name: fn } of resolved.value.functions) {
      const found = await lookUp(context.client, context.watched.functions, { namespace, name: fn });
      if (found !== undefined) existing.add(fn);
    }
    const verdict = judgeTrigger({
      trigger: resolved.value,
      refusal,
      conflicts: routes.conflicts(namespace, name),
      exists: (fn) => existing.has(fn),
      entry: (fn) => functions.get(namespace, fn),
    });
    const notServed = triggerFieldsNotServed(resolved.value, context.platform);
    const { exposures } = this.#parts;
    if (exposures === undefined) return this.#write(trigger, verdict, notServed, null);
    const { condition, failure } = await exposures.reconcile(resolved.value);
    await this.#write(trigger, verdict, notServed, condition);
    // The queue tries again, later each time.
    if (failure !== null) throw failure;
  }

  /** Puts the route into the table; returns why that was refused. */
  #route(key: string, trigger: ResolvedTrigger): FissiumError | null {
    const before = this.#routed.get(key);
    if (before === trigger) return null;
    try {
      // Same generation, other object: only labels or status changed.
      if (before === undefined || before.uid !== trigger.uid || before.generation !== trigger.generation) {
        this.#parts.routes.upsert(trigger);
      }
      this.#routed.set(key, trigger);
      return null;
    } catch (error) {
      if (error instanceof FissiumError) return error;
      throw error;
    }
  }

  #unroute(key: string): void {
    const { namespace, name } = splitKey(key);
    this.#routed.delete(key);
    this.#parts.patience.clear(key);
    this.#parts.routes.delete(namespace, name);
  }

  async #write(
    trigger: HttpTrigger,
    verdict: Verdict,
    notServed: readonly string[],
    exposure: ExposureCondition | null,
  ): Promise<void> {
    const { statuses, events, now } = this.#parts.context;
    const { patience } = this.#parts;
    if (verdict.passing !== true) patience.clear(keyOf(trigger));
    else if (findCondition(trigger.status, 'Ready') === undefined && !patience.isOver(keyOf(trigger))) return;
    // Fission's own name for: the router knows the route.
    const admitted = !['Invalid', 'RouteRefused', 'RouteConflict'].includes(verdict.reason);
    const change = await statuses.write<TriggerStatus>(RESOURCES.httptriggers, trigger, (before) =>
      withConditions(before, {
        generation: trigger.metadata.generation ?? 0,
        verdict,
        notServed,
        now: now(),
        others: [
          {
            type: 'RouteAdmitted',
            status: admitted ? 'True' : 'False',
            reason: admitted ? 'Admitted' : verdict.reason,
            message: admitted ? 'The router has the route.' : verdict.message,
          },
          ...Object.values(CONDITION_TYPES)
            .filter((type) => type !== exposure?.type)
            .map((type) => ({ remove: type })),
          ...(exposure === null ? [] : [exposure]),
        ],
      }),
    );
    if (verdict.passing !== true) announce(events, RESOURCES.httptriggers, trigger, change);
    announceExposure(events, trigger, change);
  }
}
