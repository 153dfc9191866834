export { CallClock } from './call-clock.ts';
export { InstancePool, PoolBudget, type InstanceLife, type PooledInstance } from './instance-pool.ts';
export { Lifecycle, type InstanceState } from './lifecycle.ts';
export { MemoryShelf, zero, type MemoryShape } from './memories.ts';
export { SharedLimits, type Caps, type Held, type LimitsHandle } from './shared-limits.ts';
export { pagesOf, ThreadMemory, type Need } from './thread-memory.ts';
