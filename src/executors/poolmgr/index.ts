export { FETCHER_ACCOUNT } from './fetcher-access.ts';
export { isOwnRuntime, RUNTIME_ANNOTATION } from './own-images.ts';
export { PoolManager, type PoolManagerOptions } from './pool-manager.ts';
