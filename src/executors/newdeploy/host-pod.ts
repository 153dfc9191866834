/** Pods of Wasm hosts: of an environment's functions, or of one function of strategy `newdeploy` alone. */
import type { EnvVar, PodSpec } from '../../kube/index.ts';
import {
  DRAIN,
  HOST_INTERNAL_PORT,
  httpProbe,
  mergeResources,
  PLATFORM_SECURITY,
  POD_SECURITY,
  podResources,
  RUNTIME_PORT,
  TELLS_WHY,
} from '../pods/containers.ts';
import { mergeContainer, mergePodSpec } from '../pods/merge-pod.ts';
import type { ResolvedEnvironment, ResolvedResources } from '../../api/index.ts';
import type { FunctionOnCluster } from '../strategy.ts';

const MIB = 1024 * 1024;
/** What a host takes without its guests' memory. */
const HOST_MEMORY_MIB = 192;
const DATA_VOLUME = 'data';

export interface HostPodOptions {
  /** The platform's own. */
  readonly image: string;
  /** Of the host, in the function's namespace: it watches the function and reads what that names. */
  readonly serviceAccount: string;
  /** For what it asks of the storage service. @default none */
  readonly hostEnv?: readonly EnvVar[];
}

/**
 * A host that serves this function alone.
 * @throws FissiumError RESOURCE_INVALID where the environment's changes do not fit
 */
export function hostPod(fn: FunctionOnCluster, options: HostPodOptions): PodSpec {
  const { environment, resolved } = fn;
  if (environment === null) throw new Error('a newdeploy function has an environment');
  return environmentHostPod(environment.resolved, options, {
    onlyFunction: resolved.name,
    // The function's own limits are its guest's; those of the environment are the host's.
    requests: resolved.resources.requests,
    guestMemoryBytes: resolved.limits.memoryBytes,
  });
}

export interface HostedFunctions {
  /** Null for all of strategy `poolmgr`. */
  readonly onlyFunction: string | null;
  /** Beside those of the environment. */
  readonly requests: ResolvedResources['requests'];
  /** What a host asks the scheduler for beside its own. */
  readonly guestMemoryBytes: number;
}

/** @throws FissiumError RESOURCE_INVALID where the environment's changes do not fit */
export function environmentHostPod(
  runs: ResolvedEnvironment,
  { image, serviceAccount, hostEnv = [] }: HostPodOptions,
  { onlyFunction, requests, guestMemoryBytes }: HostedFunctions,
): PodSpec {
  const resources = podResources(mergeResources(runs.resources, { limits: {}, requests, claims: [] }));
  const container = mergeContainer(
    {
      name: runs.name,
      image,
      args: ['wasm-host'],
      env: [
        { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
        {
          name: 'POD_NAMESPACE',
          valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } },
        },
        { name: 'FISSIUM_ENVIRONMENT', value: `${runs.namespace}/${runs.name}` },
        ...(onlyFunction === null ? [] : [{ name: 'FISSIUM_FUNCTION', value: onlyFunction }]),
        { name: 'FISSIUM_DATA', value: '/data' },
        ...hostEnv,
      ],
      ports: [
        { name: 'http-env', containerPort: RUNTIME_PORT, protocol: 'TCP' },
        { name: 'http-internal', containerPort: HOST_INTERNAL_PORT, protocol: 'TCP' },
      ],
      resources: {
        ...resources,
        requests: {
          memory: `${HOST_MEMORY_MIB + Math.ceil(guestMemoryBytes / MIB)}Mi`,
          ...resources.requests,
        },
      },
      readinessProbe: httpProbe('/readyz', HOST_INTERNAL_PORT),
      livenessProbe: httpProbe('/healthz', HOST_INTERNAL_PORT, { initialDelaySeconds: 2, periodSeconds: 5 }),
      securityContext: PLATFORM_SECURITY,
      volumeMounts: [
        { name: DATA_VOLUME, mountPath: '/data' },
        { name: DATA_VOLUME, mountPath: '/tmp', subPath: 'tmp' },
      ],
      ...DRAIN,
      ...TELLS_WHY,
    },
    runs.container,
    'spec.runtime.container',
  );
  const base: PodSpec = {
    serviceAccountName: serviceAccount,
    enableServiceLinks: false,
    securityContext: { ...POD_SECURITY, fsGroup: PLATFORM_SECURITY.runAsGroup },
    terminationGracePeriodSeconds: Math.ceil(runs.terminationGracePeriodMs / 1000),
    volumes: [{ name: DATA_VOLUME, emptyDir: {} }],
    // What is the platform's stays: an image of the user's would not be a host.
    containers: [{ ...container, name: runs.name, image, args: ['wasm-host'] }],
  };
  return mergePodSpec(base, runs.podSpec, 'spec.runtime.podspec');
}
