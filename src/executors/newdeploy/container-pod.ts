/** The pod of a `newdeploy` function in a container environment: the runtime, and the fetcher that loads the code into it. */
import type { ResolvedEnvironment } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import { requestVariables } from '../../fetcher/contract.ts';
import type { Container, PodSpec } from '../../kube/index.ts';
import { lastOfEachName, mountsOf, podEnv, podEnvFrom } from '../pods/function-env.ts';
import {
  DRAIN,
  FETCHER_PORT,
  httpProbe,
  mergeResources,
  POD_SECURITY,
  podResources,
  RUNTIME_PORT,
  TELLS_WHY,
  USER_SECURITY,
} from '../pods/containers.ts';
import { fetcherContainer } from '../pods/fetcher-container.ts';
import { mergeContainer, mergePodSpec } from '../pods/merge-pod.ts';
import type { FunctionOnCluster } from '../strategy.ts';
import { SHARED_FOLDER, specialiseRequest } from './specialise-request.ts';

const SHARED_VOLUME = 'userfunc';
const FETCHER_FOLDER_VOLUME = 'fetcher-tmp';

export interface ContainerPodOptions {
  /** The platform's own, for the fetcher. */
  readonly image: string;
  /** Set in the fetcher, for what it asks of the storage service. */
  readonly fetcherEnv?: NonNullable<Container['env']>;
}

/** @throws FissiumError RESOURCE_INVALID where the environment's changes do not fit */
export function containerPod(fn: FunctionOnCluster, options: ContainerPodOptions): PodSpec {
  const { environment } = fn;
  if (environment === null) throw new Error('a newdeploy function has an environment');
  const runs = environment.resolved;
  const mainName = mainContainerName(runs);
  const mounts = mountsOf(fn.resolved);
  const runtime = mergeContainer(runtimeContainer(fn, runs), runs.container, 'spec.runtime.container');
  const base: PodSpec = {
    automountServiceAccountToken: false,
    // A server ignores it, and a long list of services slows its start.
    enableServiceLinks: false,
    securityContext: POD_SECURITY,
    terminationGracePeriodSeconds: Math.ceil(runs.terminationGracePeriodMs / 1000),
    ...(runs.imagePullSecret === '' ? {} : { imagePullSecrets: [{ name: runs.imagePullSecret }] }),
    volumes: [
      { name: SHARED_VOLUME, emptyDir: {} },
      { name: FETCHER_FOLDER_VOLUME, emptyDir: {} },
      ...mounts.volumes,
    ],
    containers: [{ ...runtime, name: mainName }, fetcherOf(fn, options)],
  };
  const merged = mergePodSpec(base, runs.podSpec, 'spec.runtime.podspec');
  return {
    ...merged,
    containers: merged.containers.map((container) =>
      container.name === mainName ? withFunction(container, fn, mounts.volumeMounts) : container,
    ),
  };
}

/** The environment's name, or that of its runtime container where the pod spec has one of that name (Fission's rule). */
export function mainContainerName({ name, container, podSpec }: ResolvedEnvironment): string {
  const own = container?.['name'];
  if (typeof own !== 'string' || own === '' || podSpec === null) return name;
  const containers = Array.isArray(podSpec['containers'])
    ? (podSpec['containers'] as { name?: unknown }[])
    : [];
  if (containers.some((other) => other.name === own)) return own;
  throw new FissiumError(
    'RESOURCE_INVALID',
    `Environment ${name}: spec.runtime.container.name is "${own}", but spec.runtime.podspec.containers has none of that name; name one of them, or none.`,
  );
}

function runtimeContainer(fn: FunctionOnCluster, environment: ResolvedEnvironment): Container {
  return {
    name: environment.name,
    image: environment.image,
    ports: [{ name: 'http-env', containerPort: RUNTIME_PORT, protocol: 'TCP' }],
    resources: podResources(mergeResources(environment.resources, fn.resolved.resources)),
    securityContext: USER_SECURITY,
    ...DRAIN,
    ...TELLS_WHY,
  };
}

/** What is the function's, over whatever the environment says of the container. */
function withFunction(
  container: Container,
  { resolved }: FunctionOnCluster,
  mounts: NonNullable<Container['volumeMounts']>,
): Container {
  const env = lastOfEachName([...(container.env ?? []), ...podEnv(resolved.env)]);
  const envFrom = [...(container.envFrom ?? []), ...podEnvFrom(resolved.envFrom)];
  return {
    ...container,
    ...(env.length === 0 ? {} : { env }),
    ...(envFrom.length === 0 ? {} : { envFrom }),
    volumeMounts: [
      ...(container.volumeMounts ?? []),
      { name: SHARED_VOLUME, mountPath: SHARED_FOLDER },
      ...mounts,
    ],
  };
}

/** Ready when the runtime has loaded the function: the pod is then as well, and not before. */
function fetcherOf(fn: FunctionOnCluster, { image, fetcherEnv = [] }: ContainerPodOptions): Container {
  return {
    ...fetcherContainer({
      image,
      args: [
        '-specialize-on-startup',
        // It makes these; its own root is read-only, and secrets are volumes of the runtime's here.
        '-secret-dir',
        '/tmp/secrets',
        '-cfgmap-dir',
        '/tmp/configs',
        SHARED_FOLDER,
      ],
      env: [...fetcherEnv, ...requestVariables(specialiseRequest(fn))],
      livenessProbe: httpProbe('/healthz', FETCHER_PORT, { initialDelaySeconds: 1, periodSeconds: 5 }),
      volumeMounts: [
        { name: SHARED_VOLUME, mountPath: SHARED_FOLDER },
        { name: FETCHER_FOLDER_VOLUME, mountPath: '/tmp' },
      ],
    }),
    ...DRAIN,
  };
}
