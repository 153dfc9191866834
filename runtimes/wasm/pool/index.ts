export { InstancePool, PoolBudget, type PooledInstance } from './instance-pool.ts';
export { Lifecycle, type InstanceState } from './lifecycle.ts';
