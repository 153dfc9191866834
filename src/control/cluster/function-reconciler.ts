import type { FissionFunction } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import type { Invoker } from '../../executors/executor.ts';
import type { Demand, Strategy } from '../../executors/strategy.ts';
import { keyOf, splitKey } from '../../kube/index.ts';
import type { Verdict } from '../conditions.ts';
import type { ReconcilerContext } from '../context.ts';
import type { OwnedRoutes } from '../function/owned-routes.ts';
import { writeFunctionStatus } from '../function/write-status.ts';
import type { PackageStates } from '../package/package-states.ts';
import type { Patience } from '../patience.ts';
import type { FunctionState } from '../../router/index.ts';
import type { FunctionTablePort } from '../ports.ts';
import { functionOf } from '../resolutions.ts';
import { factsOf, type Placement, type StrategyKey } from './function-facts.ts';

export interface ClusterFunctionReconcilerParts {
  readonly context: ReconcilerContext;
  readonly packageStates: PackageStates;
  readonly strategies: Readonly<Record<StrategyKey, Strategy>>;
  readonly routes: OwnedRoutes;
  readonly patience: Patience;
  /** What triggers are judged by; nobody calls its functions. */
  readonly table: FunctionTablePort;
  readonly onTableChange: (key: string) => void;
  /** Has a key reconciled again. */
  readonly again: (key: string) => void;
}

interface Placed {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly strategy: StrategyKey | null;
}

/** A function that is not ready is looked at again after this long, whatever watches say. */
const AGAIN_MS = 3_000;

/** Has each function run by its strategy, and says in its status what became of it. */
export class ClusterFunctionReconciler {
  readonly #parts: ClusterFunctionReconcilerParts;
  readonly #placed = new Map<string, Placed>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(parts: ClusterFunctionReconcilerParts) {
    this.#parts = parts;
  }

  async reconcile(key: string): Promise<void> {
    const { context, packageStates, routes } = this.#parts;
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    const object = context.watched.functions.getByKey(key);
    const before = this.#placed.get(key);
    const isGone = object === undefined || object.metadata.deletionTimestamp !== undefined;
    if (before !== undefined && (isGone || object.metadata.uid !== before.uid))
      await this.#remove(key, before);
    if (isGone) return;

    const resolved = functionOf(object);
    const route = resolved.ok ? await routes.reconcile(object, resolved.value) : null;
    const facts = await factsOf(context, packageStates, object);
    if (!facts.ok) {
      if (facts.earlier !== undefined) await this.#place(key, facts.earlier);
      if (facts.final && before !== undefined) await this.#remove(key, before);
      await this.#conclude(object, facts.verdict, route);
      return;
    }
    await this.#conclude(object, await this.#place(key, facts), route);
  }

  /** Has its strategy run it. */
  async #place(key: string, { fn, strategy }: Placement): Promise<Verdict> {
    const { namespace, name, uid } = fn.resolved;
    await this.#leaveOthers(key, { namespace, name, uid, strategy });
    return this.#parts.strategies[strategy].reconcile(fn);
  }

  /** What routers want of a function. What is not known, or cannot run, is left alone. */
  async demand(key: string, uid: string, demand: Demand): Promise<void> {
    const { context, packageStates, strategies } = this.#parts;
    const object = context.watched.functions.getByKey(key);
    if (object === undefined || object.metadata.uid !== uid) return;
    const facts = await factsOf(context, packageStates, object);
    const placement = facts.ok ? facts : facts.earlier;
    if (placement !== undefined) await strategies[placement.strategy].demand(placement.fn, demand);
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  /** A function has one strategy; what another made for it goes, also where an earlier leader had it made. */
  async #leaveOthers(key: string, now: Placed): Promise<void> {
    const before = this.#placed.get(key);
    if (before?.uid === now.uid && before.strategy === now.strategy) return;
    for (const [name, strategy] of Object.entries(this.#parts.strategies))
      if (name !== now.strategy) await strategy.remove(now);
    this.#placed.set(key, now);
  }

  async #remove(key: string, placed: Placed): Promise<void> {
    for (const strategy of Object.values(this.#parts.strategies)) await strategy.remove(placed);
    this.#placed.delete(key);
    const { namespace, name } = splitKey(key);
    this.#parts.patience.clear(key);
    this.#parts.table.delete(namespace, name);
    this.#parts.onTableChange(key);
  }

  async #conclude(
    object: FissionFunction,
    verdict: Verdict,
    route: Parameters<typeof writeFunctionStatus>[3],
  ): Promise<void> {
    const key = keyOf(object);
    this.#setEntry(object, verdict);
    await writeFunctionStatus(this.#parts, object, verdict, route);
    if (verdict.ready) return;
    clearTimeout(this.#timers.get(key));
    this.#timers.set(
      key,
      setTimeout(() => this.#parts.again(key), AGAIN_MS),
    );
  }

  #setEntry(object: FissionFunction, verdict: Verdict): void {
    const { table, onTableChange } = this.#parts;
    const resolved = functionOf(object);
    const key = keyOf(object);
    const { namespace, name } = splitKey(key);
    if (!resolved.ok) {
      table.delete(namespace, name);
      onTableChange(key);
      return;
    }
    const phase = verdict.ready ? 'ready' : verdict.passing === true ? 'preparing' : 'refused';
    const before = table.get(namespace, name)?.state;
    const isSame =
      before?.phase === phase && (before.phase !== 'refused' || before.error.message === verdict.message);
    if (isSame) return;
    const { uid, limits } = resolved.value;
    const state: FunctionState =
      phase === 'ready'
        ? { phase, invoker: ELSEWHERE }
        : phase === 'preparing'
          ? { phase }
          : { phase, error: new FissiumError('FUNCTION_NOT_READY', verdict.message) };
    table.set({ namespace, name, uid, limits, state });
    onTableChange(key);
  }
}

const ELSEWHERE: Invoker = {
  invoke: () => Promise.reject(new FissiumError('INTERNAL', 'The controller calls no functions.')),
};
