/** What containers in functions' pods have in common. */
import type { ResolvedResources } from '../../api/index.ts';
import type {
  Container,
  PodSecurityContext,
  Probe,
  ResourceRequirements,
  SecurityContext,
} from '../../kube/index.ts';

/** Fission's ports. */
export const RUNTIME_PORT = 8888;
export const FETCHER_PORT = 8000;
/** Health, metrics and logs of a Wasm host. */
export const HOST_INTERNAL_PORT = 8889;

/** For the platform's own containers: they need nothing of the node's. */
export const PLATFORM_SECURITY: SecurityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
  runAsGroup: 10_001,
  runAsNonRoot: true,
  runAsUser: 10_001,
};

/** For users' images, which may be made for root and write where they like: only what no server misses. */
export const USER_SECURITY: SecurityContext = { allowPrivilegeEscalation: false };

export const POD_SECURITY: PodSecurityContext = { seccompProfile: { type: 'RuntimeDefault' } };

/**
 * How long a pod that ends waits before it is told to: routers learn within milliseconds that it goes, kube-proxy and
 * Ingress controllers take seconds.
 */
export const PRE_STOP_SECONDS = 5;

/** A pod keeps serving while those who have its address learn that it goes; by the kubelet, since an image may have no `sleep`. */
export const DRAIN: Pick<Container, 'lifecycle'> = {
  lifecycle: { preStop: { sleep: { seconds: PRE_STOP_SECONDS } } },
};

/** The end of its log is what a person needs of a container that failed; the kubelet puts it in the pod's status. */
export const TELLS_WHY: Pick<Container, 'terminationMessagePolicy'> = {
  terminationMessagePolicy: 'FallbackToLogsOnError',
};

export function httpProbe(path: string, port: number, options: Partial<Probe> = {}): Probe {
  return { httpGet: { path, port }, periodSeconds: 1, timeoutSeconds: 2, ...options };
}

/** The second's quantities in the first's place, one by one, as Fission lays functions' over environments'. */
export function mergeResources(base: ResolvedResources, over: ResolvedResources): ResolvedResources {
  return {
    limits: { ...base.limits, ...nonZero(over.limits) },
    requests: { ...base.requests, ...nonZero(over.requests) },
    claims: [...base.claims, ...over.claims],
  };
}

export function podResources({ limits, requests, claims }: ResolvedResources): ResourceRequirements {
  return {
    ...(Object.keys(limits).length === 0 ? {} : { limits: quantities(limits) }),
    ...(Object.keys(requests).length === 0 ? {} : { requests: quantities(requests) }),
    ...(claims.length === 0 ? {} : { claims: [...claims] }),
  };
}

function quantities(of: ResolvedResources['limits']): Record<string, string> {
  return Object.fromEntries(Object.entries(of).map(([name, quantity]) => [name, String(quantity)]));
}

function nonZero(of: ResolvedResources['limits']): ResolvedResources['limits'] {
  return Object.fromEntries(Object.entries(of).filter(([, quantity]) => !/^0*$/.test(String(quantity))));
}
