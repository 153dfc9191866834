/** What an execution strategy does for functions on a cluster, in the controller that leads. */
import type {
  Environment,
  FissionFunction,
  Package,
  ResolvedEnvironment,
  ResolvedFunction,
} from '../api/index.ts';

/** A function with everything that decides how it runs; all of it checked, its package's archive there to fetch. */
export interface FunctionOnCluster {
  readonly object: FissionFunction;
  readonly resolved: ResolvedFunction;
  /** Null for the strategy `container`. */
  readonly environment: { readonly object: Environment; readonly resolved: ResolvedEnvironment } | null;
  /** Null for the strategy `container`. Its `spec.deployment` names the archive that runs. */
  readonly pkg: Package | null;
}

/** How many calls of a function run and wait, over all routers. */
export interface Demand {
  readonly running: number;
  readonly queued: number;
}

/** What became of a function; goes into its `Ready` condition and an event. */
export interface StrategyVerdict {
  readonly ready: boolean;
  /** One CamelCase word. */
  readonly reason: string;
  /** For a person: what is so, and what to do about it. */
  readonly message: string;
  /** Passes by itself in a moment; written only where nothing was written yet. */
  readonly passing?: boolean;
}

/**
 * Keeps the cluster as functions of one strategy want it. Every method may be called again after any failure, and
 * by a controller that has just become the leader: what is there already is found, not made twice.
 */
export interface Strategy {
  /** Brings the cluster to what the function wants. Rejects where the API server refuses for the time being. */
  reconcile(fn: FunctionOnCluster): Promise<StrategyVerdict>;
  /** Calls wait or run: sees to it that they find endpoints. Resolves when that is under way. */
  demand(fn: FunctionOnCluster, demand: Demand): Promise<void>;
  /** Keeps what an environment has ready before any function of it is called. Rejects as `reconcile` does. */
  reconcileEnvironment?(environment: NonNullable<FunctionOnCluster['environment']>): Promise<unknown>;
  /** The function is gone, or another strategy's now: takes away what was made for it. Idempotent. */
  remove(fn: { readonly namespace: string; readonly name: string; readonly uid: string }): Promise<void>;
  /** Called about once a second by the leader: scaling, reaping, retiring. */
  tick(): Promise<void>;
  close(): Promise<void>;
}
