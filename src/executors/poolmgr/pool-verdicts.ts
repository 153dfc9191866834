/** What the statuses of functions and environments say of their pool. */
import type { StrategyVerdict } from '../strategy.ts';
import type { FunctionPods } from './function-pods.ts';
import type { Pool } from './pool.ts';

/** @param pods of the function; undefined where it has had none */
export function functionVerdict(
  pods: Pick<FunctionPods, 'failure' | 'isServed'> | undefined,
  pool: Pool,
): StrategyVerdict {
  const isServed = pods?.isServed === true;
  const trouble = pods?.failure ?? (isServed ? undefined : pool.trouble());
  if (trouble !== undefined) {
    const before = isServed ? ' The version before still serves.' : '';
    return { ready: false, reason: trouble.reason, message: `${trouble.message}${before}` };
  }
  return isServed ? poolServes(pool) : poolVerdict(pool);
}

export function poolVerdict(pool: Pool): StrategyVerdict {
  const { resolved } = pool.environment;
  const trouble = pool.trouble();
  if (trouble !== undefined) return { ready: false, ...trouble };
  if (pool.hasFreePod || resolved.poolSize === 0) return poolServes(pool);
  return {
    ready: false,
    passing: true,
    reason: 'PoolStarting',
    message: `The pods of environment ${resolved.name} are starting.`,
  };
}

/**
 * The same words with and without a pod of the function's: with others, the next look at it would write its status,
 * and that look comes with a change of its package, between Fission's CLI reading a function and writing it.
 */
function poolServes({ environment: { resolved } }: Pool): StrategyVerdict {
  const waits = resolved.poolSize === 0 ? ' None waits (poolsize 0): a first call starts one.' : '';
  return {
    ready: true,
    reason: 'Deployed',
    message: `Pods of the pool of environment ${resolved.name} serve it, as many as its calls need.${waits}`,
  };
}
