/** Our WASI 0.2 host: every interface of `wasi:http/proxy` and more, for one invocation at a time. */
export { Egress, EgressPolicy } from './egress.ts';
export { GuestVolume, packFiles, tmpQuotaBytes, type FileToPack } from './filesystem/index.ts';
export { describeErrorCode, type ErrorCode } from './http/error-codes.ts';
export { createWasiHost, type Outcome, type WasiHost, type WasiHostOptions } from './host.ts';
export {
  ASYNC_IMPORTS,
  VIEWING_IMPORTS,
  createImports,
  type InterfaceImports,
  type StateSource,
  type WasiImports,
} from './imports.ts';
export { repairGeneratedCode } from './jco-repair.ts';
export { Resource } from './resource.ts';
export { GuestEnded, GuestExit, GuestTrap } from './stops.ts';
export type { GuestState } from './state.ts';
