/** The resources: their types, checks, defaults and resolved forms. Others import only from here. */
export { API_VERSION, GROUP, VERSION } from './kind.ts';
export type { FieldError, KindDefinition, KindName, PrinterColumn } from './kind.ts';
export { isObject } from './json.ts';
export type { JsonObject } from './json.ts';
export { HTTP_METHODS } from './schema.ts';
export type { Condition, ObjectMeta, OwnerReference } from './schema.ts';
export { setCondition } from './conditions.ts';
export type { Environment } from './environment.ts';
export type { FissionFunction } from './function.ts';
export type { HttpTrigger } from './http-trigger.ts';
export type { KubernetesWatchTrigger } from './kubernetes-watch-trigger.ts';
export type { MessageQueueTrigger } from './message-queue-trigger.ts';
export type { Package } from './package.ts';
export type { TimeTrigger } from './time-trigger.ts';
export type { WasmBlock } from './wasm-block.ts';
export type {
  Archive,
  BuildStatus,
  ObjectName,
  ResolvedCors,
  ResolvedEnvFrom,
  ResolvedEnvVar,
  ResolvedEnvironment,
  ResolvedExposure,
  ResolvedFunction,
  ResolvedInstance,
  ResolvedKubernetesWatchTrigger,
  ResolvedLimits,
  ResolvedMessageQueueTrigger,
  ResolvedMount,
  ResolvedPackage,
  ResolvedPods,
  ResolvedResources,
  ResolvedScale,
  ResolvedScaling,
  ResolvedTimeTrigger,
  ResolvedTrigger,
  WeightedFunction,
} from './resolved.ts';
export { KINDS, defaulted, kindByName, kindByPlural, withoutUnknownFields } from './kinds.ts';
export { DEFAULT_TERMINATION_GRACE_S, resolveEnvironment } from './environment.ts';
export { resolveFunction } from './function-resolve.ts';
export { LATER_KINDS, laterCrd, type LaterKind, whyNotYet } from './later-kinds.ts';
export {
  environmentFieldsNotServed,
  functionFieldsNotServed,
  SERVED_ON_CLUSTER,
  type Platform,
  triggerFieldsNotServed,
} from './served-on-cluster.ts';
export { resolveTrigger } from './http-trigger.ts';
export { resolveKubernetesWatchTrigger } from './kubernetes-watch-trigger.ts';
export { resolveMessageQueueTrigger } from './message-queue-trigger.ts';
export { resolvePackage } from './package.ts';
export { resolveTimeTrigger } from './time-trigger.ts';
export { outboundHostAllows, parseOutboundHost } from './outbound-host.ts';
export type { OutboundHost, OutboundHostError } from './outbound-host.ts';
export { parseDuration, parseSecondsOrDuration } from './duration.ts';
export { interned } from './interned.ts';
export { BUILDER_KEYS, FETCHER_KEYS, HOST_KEYS } from './platform-secrets.ts';
export { parseBytes, parseQuantity } from './quantity.ts';
export { toCrdSchema } from './crd.ts';
