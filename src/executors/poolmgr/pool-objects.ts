/** The Deployment of an environment's generic pods: the runtime, and the fetcher beside it. Pure. */
import { createHash } from 'node:crypto';

import type { Environment, ResolvedEnvironment, ResolvedResources } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import type {
  Container,
  DeploymentSpec,
  EnvVar,
  KubeObject,
  PodSpec,
  Volume,
  VolumeMount,
} from '../../kube/index.ts';
import {
  DRAIN,
  FETCHER_PORT,
  httpProbe,
  mergeResources,
  PLATFORM_SECURITY,
  POD_SECURITY,
  podResources,
  PRE_STOP_SECONDS,
  RUNTIME_PORT,
  TELLS_WHY,
  USER_SECURITY,
} from '../pods/containers.ts';
import { FETCHER, fetcherContainer } from '../pods/fetcher-container.ts';
import { ownedBy, TEMPLATE_ANNOTATION } from '../pods/labels.ts';
import { mergeContainer, mergePodSpec } from '../pods/merge-pod.ts';
import { FETCHER_ACCOUNT } from './fetcher-access.ts';
import { isOwnRuntime } from './own-images.ts';
import { poolLabels, poolSelector, USUAL_CLASS } from './pool-labels.ts';

export type PoolDeployment = KubeObject & { readonly spec: DeploymentSpec };

export interface PoolEnvironment {
  readonly object: Environment;
  readonly resolved: ResolvedEnvironment;
}

/** Resources that pods of a pool of their own have, with the name of their class. */
export interface ResourceClass {
  readonly name: string;
  readonly resources: ResolvedResources;
}

export interface PoolObjectOptions {
  /** The platform's own image, for the fetcher. */
  readonly image: string;
  /** Set in the fetcher. */
  readonly fetcherEnv?: readonly EnvVar[];
  /** Null for the environment's own resources. */
  readonly resourceClass: ResourceClass | null;
}

/** Fission's paths and names. */
export const CODE_FOLDER = '/userfunc';
const SHARED: readonly VolumeMount[] = [
  { name: 'userfunc', mountPath: CODE_FOLDER },
  { name: 'secrets', mountPath: '/secrets' },
  { name: 'configmaps', mountPath: '/configs' },
  { name: 'podinfo', mountPath: '/etc/podinfo' },
];
const TOKEN_VOLUME = 'fissium-fetcher-token';
const TOKEN_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
const TMP_VOLUME = 'fissium-tmp';
const TOKEN_SECONDS = 3600;
const WORD_MAX_LENGTH = 17;
const HASH_LENGTH = 10;

/** `poolmgr-python-default-1b2c3d4e`, and the class where it has one. */
export function poolName({ metadata }: Environment, resourceClass: string): string {
  const words = [metadata.name, metadata.namespace ?? 'default'].map((word) =>
    word.slice(0, WORD_MAX_LENGTH),
  );
  const uid = (metadata.uid ?? '').replaceAll('-', '').slice(-8);
  const own = resourceClass === USUAL_CLASS ? [] : [resourceClass];
  return ['poolmgr', ...words, uid, ...own].join('-').toLowerCase();
}

/** The class of a function's own resources over its environment's; null where they are the environment's. */
export function resourceClassOf(
  environment: ResolvedResources,
  own: ResolvedResources,
): ResourceClass | null {
  const resources = mergeResources(environment, own);
  if (digest(podResources(resources)) === digest(podResources(environment))) return null;
  return { name: digest(podResources(resources)), resources };
}

/**
 * Without `replicas`: those are scaled apart. What its pods are is in the annotation `fissium.io/template`, which they
 * carry too.
 * @throws FissiumError RESOURCE_INVALID where the environment's changes of the pod do not fit
 */
export function poolDeployment(environment: PoolEnvironment, options: PoolObjectOptions): PoolDeployment {
  const { object } = environment;
  const resourceClass = options.resourceClass?.name ?? USUAL_CLASS;
  const { namespace = 'default' } = object.metadata;
  const spec = podSpecOf(environment, options);
  const labels = poolLabels(object, resourceClass);
  const template = digest([spec, labels, object.metadata.annotations ?? {}]);
  const annotations = { [TEMPLATE_ANNOTATION]: template };
  return {
    metadata: {
      namespace,
      name: poolName(object, resourceClass),
      labels,
      annotations,
      ownerReferences: [ownedBy(object)],
    },
    spec: {
      selector: { matchLabels: poolSelector(object, resourceClass) },
      // The reserve stays whole while pods of a new template come.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: 0 } },
      revisionHistoryLimit: 0,
      template: { metadata: { labels, annotations: { ...podAnnotations(object), ...annotations } }, spec },
    },
  };
}

/** What of an environment code in its pods would notice; the fetcher beside it is none of it. */
export function environmentStamp({ metadata, spec }: Environment): string {
  const { runtime, resources, version, keeparchive, terminationGracePeriod, imagepullsecret } = spec;
  return digest([
    metadata.uid,
    runtime,
    resources,
    version,
    keeparchive,
    terminationGracePeriod,
    imagepullsecret,
    isOwnRuntime({ ...({ metadata, spec } as Environment) }),
  ]);
}

/** The environment's name, or that of its runtime container where the pod spec has one of that name (Fission's rule). */
export function mainContainerName({ name, container, podSpec }: ResolvedEnvironment): string {
  const own = container?.['name'];
  if (typeof own !== 'string' || own === '' || podSpec === null) return name;
  const containers: unknown = podSpec['containers'];
  const names = Array.isArray(containers)
    ? (containers as { name?: unknown }[]).map((other) => other.name)
    : [];
  if (names.includes(own)) return own;
  throw new FissiumError(
    'RESOURCE_INVALID',
    `Environment ${name}: spec.runtime.container.name is "${own}", but spec.runtime.podspec.containers has none of that name; name one of them, or none.`,
  );
}

/** Hex, short; the same for the same JSON. */
export function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, HASH_LENGTH);
}

/** As Fission hands an environment's annotations to its pods, but those that say how it is to be run. */
function podAnnotations({ metadata }: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata.annotations ?? {}).filter(
      ([name]) => !/^(fissium\.io\/|kubectl\.kubernetes\.io\/)/.test(name),
    ),
  );
}

function podSpecOf(environment: PoolEnvironment, options: PoolObjectOptions): PodSpec {
  const { resolved, object } = environment;
  const own = isOwnRuntime(object);
  const mainName = mainContainerName(resolved);
  const runtime = mergeContainer(
    runtimeContainer(environment, options.resourceClass, own),
    resolved.container,
    'spec.runtime.container',
  );
  const base: PodSpec = {
    serviceAccountName: FETCHER_ACCOUNT,
    // The code of users gets no token; the fetcher has it from a volume of its own.
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: { ...POD_SECURITY, fsGroup: PLATFORM_SECURITY.runAsGroup },
    terminationGracePeriodSeconds: graceSeconds(resolved),
    ...(resolved.imagePullSecret === '' ? {} : { imagePullSecrets: [{ name: resolved.imagePullSecret }] }),
    volumes: volumes(),
    containers: [{ ...runtime, name: mainName }, fetcherOf(options)],
  };
  return mergePodSpec(base, resolved.podSpec, 'spec.runtime.podspec');
}

function graceSeconds({ terminationGracePeriodMs }: ResolvedEnvironment): number {
  return Math.ceil(terminationGracePeriodMs / 1000);
}

function runtimeContainer(
  { resolved }: PoolEnvironment,
  resourceClass: ResourceClass | null,
  own: boolean,
): Container {
  const container: Container = {
    name: resolved.name,
    image: resolved.image,
    imagePullPolicy: 'IfNotPresent',
    ports: [{ name: 'http-env', containerPort: RUNTIME_PORT, protocol: 'TCP' }],
    resources: podResources(resourceClass?.resources ?? resolved.resources),
    volumeMounts: [...SHARED],
    ...(graceSeconds(resolved) === 0 ? {} : DRAIN),
    ...TELLS_WHY,
  };
  // Other people's images may be made for root and write where they like.
  if (!own) return { ...container, securityContext: USER_SECURITY };
  return {
    ...container,
    securityContext: PLATFORM_SECURITY,
    env: [{ name: 'RUNTIME_GRACE_S', value: String(Math.max(1, graceSeconds(resolved) - PRE_STOP_SECONDS)) }],
    readinessProbe: httpProbe('/healthz', RUNTIME_PORT, { failureThreshold: 30 }),
    volumeMounts: [...SHARED, { name: TMP_VOLUME, mountPath: '/tmp', subPath: 'runtime' }],
  };
}

function fetcherOf({ image, fetcherEnv = [] }: PoolObjectOptions): Container {
  return fetcherContainer({
    image,
    args: ['-secret-dir', '/secrets', '-cfgmap-dir', '/configs', CODE_FOLDER],
    env: [
      { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
      ...fetcherEnv,
    ],
    // A machine that is busy is slow to start it; only a fetcher that hangs for good is to end.
    livenessProbe: httpProbe('/healthz', FETCHER_PORT, { periodSeconds: 10, failureThreshold: 6 }),
    volumeMounts: [
      ...SHARED,
      { name: TMP_VOLUME, mountPath: '/tmp', subPath: FETCHER },
      { name: TOKEN_VOLUME, mountPath: TOKEN_FOLDER, readOnly: true },
    ],
  });
}

function volumes(): Volume[] {
  const podField = (path: string) => ({ path, fieldRef: { fieldPath: `metadata.${path}` } });
  return [
    { name: 'userfunc', emptyDir: {} },
    { name: 'secrets', emptyDir: { medium: 'Memory' } },
    { name: 'configmaps', emptyDir: {} },
    { name: TMP_VOLUME, emptyDir: {} },
    { name: 'podinfo', downwardAPI: { items: [podField('name'), podField('namespace')] } },
    {
      name: TOKEN_VOLUME,
      projected: {
        sources: [
          { serviceAccountToken: { path: 'token', expirationSeconds: TOKEN_SECONDS } },
          { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          { downwardAPI: { items: [podField('namespace')] } },
        ],
      },
    },
  ];
}
