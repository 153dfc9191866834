export { startApiServer } from './server.ts';
export type { ApiServer, ApiServerOptions } from './server.ts';
export type { Upstreams } from './http/proxy.ts';
export { startApiServerThread } from './thread.ts';
export type { ApiServerThreadOptions } from './thread.ts';
