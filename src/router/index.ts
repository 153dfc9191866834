export { DEFAULT_ADMISSION, type AdmissionSettings } from './admission.ts';
export {
  FunctionTable,
  type FunctionEntry,
  type FunctionState,
  type FunctionTableListener,
} from './function-table.ts';
export {
  createInternalListener,
  type InternalListener,
  type InternalListenerOptions,
  type Mount,
} from './internal.ts';
export { routeByName } from './route-by-name.ts';
export { RouteTable, type RouteConflict, type RouteMatch } from './route-table.ts';
export { createCallServices, createRouter, type Router, type RouterOptions } from './server.ts';
export { RecentFunctions } from './recent-functions.ts';
export { SharedCounts } from './shared-counts.ts';
export { ListenerThreads, type ListenerThreadsOptions } from './threads/listener-threads.ts';
