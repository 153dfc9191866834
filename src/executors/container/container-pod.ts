/** The pod of a function of strategy `container`: the user's own (`spec.podspec`), with what the function adds. */
import { isObject, type ResolvedFunction, type ResolvedMount } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import type { Container, PodSpec } from '../../kube/index.ts';
import { lastOfEachName, mountsOf, podEnv, podEnvFrom } from '../pods/function-env.ts';
import {
  DRAIN,
  mergeResources,
  POD_SECURITY,
  podResources,
  PRE_STOP_SECONDS,
  TELLS_WHY,
  USER_SECURITY,
} from '../pods/containers.ts';
import { mergeContainer, mergePodSpec } from '../pods/merge-pod.ts';

const NO_RESOURCES = { limits: {}, requests: {}, claims: [] };

/** The container that answers calls, and its port. */
export interface Answering {
  readonly container: string;
  readonly port: number;
}

/** @throws FissiumError RESOURCE_INVALID where the pod spec does not say who answers, or cannot be merged */
export function userPod(fn: ResolvedFunction): { pod: PodSpec; answering: Answering } {
  const { podSpec } = fn;
  const main = mainContainer(fn);
  const port = portOf(fn, main);
  const mounts = mountsOf(fn);
  const container = withFunction(
    fn,
    mergeContainer({ name: main.name }, { ...main }, 'spec.podspec.containers[0]'),
  );
  const base: PodSpec = {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: POD_SECURITY,
    // What was begun may take as long as the function may.
    terminationGracePeriodSeconds: PRE_STOP_SECONDS + Math.ceil(fn.limits.firstByteTimeoutMs / 1000),
    containers: [],
  };
  const others = Array.isArray(podSpec?.['containers']) ? podSpec['containers'].slice(1) : [];
  const pod = mergePodSpec(base, { ...podSpec, containers: others }, 'spec.podspec');
  const volumes = [...(pod.volumes ?? []), ...mounts.volumes];
  return {
    pod: {
      ...pod,
      ...(volumes.length === 0 ? {} : { volumes }),
      containers: [
        {
          ...container,
          ...(mounts.volumeMounts.length === 0
            ? {}
            : { volumeMounts: [...(container.volumeMounts ?? []), ...mounts.volumeMounts] }),
        },
        ...pod.containers,
      ],
    },
    answering: { container: main.name, port },
  };
}

function withFunction(fn: ResolvedFunction, container: Container): Container {
  const own = container.resources ?? {};
  const env = lastOfEachName([...(container.env ?? []), ...podEnv(fn.env)]);
  const envFrom = [...(container.envFrom ?? []), ...podEnvFrom(fn.envFrom), ...wholeObjects(fn)];
  const port = portOf(fn, container);
  return {
    // Ready when it listens, unless the image has a better answer.
    readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
    ...DRAIN,
    ...TELLS_WHY,
    ...container,
    resources: podResources(
      mergeResources(
        { ...NO_RESOURCES, limits: own.limits ?? {}, requests: own.requests ?? {} },
        fn.resources,
      ),
    ),
    securityContext: { ...USER_SECURITY, ...container.securityContext },
    ...(env.length === 0 ? {} : { env }),
    ...(envFrom.length === 0 ? {} : { envFrom }),
  };
}

/** Fission's older way: secrets and config maps are variables too, where `envFrom` does not say which are. */
function wholeObjects({ envFrom, secrets, configMaps }: ResolvedFunction): NonNullable<Container['envFrom']> {
  if (envFrom.length > 0) return [];
  const plain = ({ namespace, name, folder }: ResolvedMount): boolean => folder === `${namespace}/${name}`;
  return [
    ...secrets.filter(plain).map(({ name }) => ({ secretRef: { name } })),
    ...configMaps.filter(plain).map(({ name }) => ({ configMapRef: { name } })),
  ];
}

function mainContainer({ namespace, name, podSpec }: ResolvedFunction): Container {
  const containers: unknown = podSpec?.['containers'];
  const first: unknown = Array.isArray(containers) ? containers[0] : undefined;
  if (!isObject(first) || typeof first['image'] !== 'string' || first['image'] === '') {
    throw new FissiumError(
      'RESOURCE_INVALID',
      `Function ${namespace}/${name}: spec.podspec.containers must have a first container with an image, the one that answers.`,
    );
  }
  return { ...(first as unknown as Container), name: nameOf(first['name'], name) };
}

function nameOf(written: unknown, otherwise: string): string {
  return typeof written === 'string' && written !== '' ? written : otherwise;
}

function portOf({ namespace, name }: ResolvedFunction, { ports = [] }: Container): number {
  const port = ports[0]?.containerPort;
  if (typeof port === 'number') return port;
  throw new FissiumError(
    'RESOURCE_INVALID',
    `Function ${namespace}/${name}: spec.podspec.containers[0].ports is empty; name the port that answers, e.g. [{"containerPort": 8080}].`,
  );
}
