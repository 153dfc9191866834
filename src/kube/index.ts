export { ApiError, isAlreadyExists, isApiError, isConflict, isNotFound } from './api-error.ts';
export { Backoff } from './backoff.ts';
export type {
  ApplyOptions,
  CallOptions,
  KubeClientOptions,
  ListOptions,
  RemoveOptions,
  WriteOptions,
} from './client-options.ts';
export { KubeClient } from './client.ts';
export { EventRecorder, type Events, SILENT_EVENTS } from './events.ts';
export { Informer, type InformerHandler, type InformerOptions } from './informer.ts';
export { Informers, type InformersOptions } from './informers.ts';
export { LEADER_ADDRESS, LEADER_LEASE, LeaderElection, type LeaderOptions } from './leader.ts';
export { inClusterConnection } from './in-cluster.ts';
export { type KubeConnection, loadKubeConfig, type LoadOptions, tokenConnection } from './kube-config.ts';
export {
  apiVersionOf,
  type ConfigMap,
  keyOf,
  type KubeList,
  type KubeMetadata,
  type KubeObject,
  objectKey,
  type OwnerReference,
  resourcePath,
  RESOURCES,
  type ResourceType,
  type Secret,
  splitKey,
} from './resources.ts';
export type {
  Container,
  DeploymentSpec,
  EnvFromSource,
  EnvVar,
  HorizontalPodAutoscalerSpec,
  MetricSpec,
  PodSecurityContext,
  PodSpec,
  Probe,
  ResourceRequirements,
  SecurityContext,
  ServiceSpec,
  Volume,
  VolumeMount,
} from './pod-objects.ts';
export {
  type ProxyAnswer,
  type ProxyInit,
  type ServiceAddresses,
  serviceAddressesFrom,
} from './service-proxy.ts';
export { type WatchEvent, watchEvents } from './watch.ts';
