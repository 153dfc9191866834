/** Kubernetes' own objects as JSON has them; the client library declares them as classes. */
import type * as models from '@kubernetes/client-node';

type Plain<T> = T extends Date
  ? string
  : T extends readonly (infer Entry)[]
    ? Plain<Entry>[]
    : T extends object
      ? { [Name in keyof T]: Plain<T[Name]> }
      : T;

export type Container = Plain<models.V1Container>;
export type DeploymentSpec = Plain<models.V1DeploymentSpec>;
export type EnvFromSource = Plain<models.V1EnvFromSource>;
export type EnvVar = Plain<models.V1EnvVar>;
export type HorizontalPodAutoscalerSpec = Plain<models.V2HorizontalPodAutoscalerSpec>;
export type MetricSpec = Plain<models.V2MetricSpec>;
export type PodSecurityContext = Plain<models.V1PodSecurityContext>;
export type PodSpec = Plain<models.V1PodSpec>;
export type Probe = Plain<models.V1Probe>;
export type ResourceRequirements = Plain<models.V1ResourceRequirements>;
export type SecurityContext = Plain<models.V1SecurityContext>;
export type ServiceSpec = Plain<models.V1ServiceSpec>;
export type Volume = Plain<models.V1Volume>;
export type VolumeMount = Plain<models.V1VolumeMount>;
