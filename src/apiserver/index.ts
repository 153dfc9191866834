export type { ApiServer, ApiServerOptions, ClientAccess } from './server.ts';
export type { Upstreams } from './http/proxy.ts';
export { startApiServerThread } from './thread.ts';
export type { ApiServerThreadOptions } from './thread.ts';
