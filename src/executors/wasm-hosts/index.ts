export { HOST_SERVICE_ACCOUNT } from './host-access.ts';
export { HostAccess } from './host-access-keeper.ts';
export { WasmHostsStrategy, type WasmHostsOptions } from './wasm-hosts-strategy.ts';
