/** The Deployment and the Service of an environment's Wasm hosts for the functions of one namespace: pure. */
import { createHash } from 'node:crypto';

import type { Environment, ResolvedEnvironment } from '../../api/index.ts';
import type { DeploymentSpec, EnvVar, KubeMetadata, KubeObject, ServiceSpec } from '../../kube/index.ts';
import { environmentHostPod } from '../newdeploy/host-pod.ts';
import { HOST_INTERNAL_PORT, RUNTIME_PORT } from '../pods/containers.ts';
import { environmentLabels, MANAGED_BY, ownedBy, PART_LABEL } from '../pods/labels.ts';
import { HOST_SERVICE_ACCOUNT } from './host-access.ts';

export type HostDeployment = KubeObject & {
  readonly spec: DeploymentSpec;
  readonly status?: { readonly replicas?: number; readonly readyReplicas?: number };
};
export type HostService = KubeObject & { readonly spec: ServiceSpec };

/** An environment's hosts in one namespace. */
export interface Hosts {
  readonly environment: { readonly object: Environment; readonly resolved: ResolvedEnvironment };
  /** Of the functions, and of the pods. */
  readonly namespace: string;
}

/** What a host asks the scheduler for beside its own memory. */
const GUEST_MEMORY_BYTES = 64 * 1024 * 1024;
const NAME_LENGTH = 50;

/** `wasm-ENVIRONMENT`, with a mark where the environment is in another namespace or its name is long. */
export function hostsName({ environment: { resolved }, namespace }: Hosts): string {
  const { name } = resolved;
  const isPlain = resolved.namespace === namespace && name.length <= NAME_LENGTH && !name.includes('.');
  if (isPlain) return `wasm-${name}`;
  const mark = createHash('sha256').update(`${resolved.namespace}/${name}`).digest('hex').slice(0, 8);
  return `wasm-${name.replaceAll('.', '-').slice(0, NAME_LENGTH - 9)}-${mark}`;
}

/** Without `replicas`, which belong to whoever scales. @throws FissiumError RESOURCE_INVALID */
export function hostDeployment(hosts: Hosts, image: string, hostEnv: readonly EnvVar[] = []): HostDeployment {
  const { environment } = hosts;
  const metadata = metadataOf(hosts);
  const pod = environmentHostPod(
    environment.resolved,
    { image, serviceAccount: HOST_SERVICE_ACCOUNT, hostEnv },
    { onlyFunction: null, requests: {}, guestMemoryBytes: GUEST_MEMORY_BYTES },
  );
  return {
    metadata,
    spec: {
      selector: { matchLabels: selector(hosts) },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      revisionHistoryLimit: 0,
      template: { metadata: { labels: { ...metadata.labels, executorType: 'poolmgr' } }, spec: pod },
    },
  };
}

/** Headless: routers choose the host themselves. */
export function hostService(hosts: Hosts): HostService {
  return {
    metadata: metadataOf(hosts),
    spec: {
      clusterIP: 'None',
      selector: selector(hosts),
      ports: [
        { name: 'http', port: RUNTIME_PORT, protocol: 'TCP' },
        { name: 'internal', port: HOST_INTERNAL_PORT, protocol: 'TCP' },
      ],
    },
  };
}

export type HostNetworkPolicy = KubeObject & { readonly spec: object };

/** Calls come from routers, questions from the controllers: from nobody else. Guests' own limits bound what goes out. */
export function hostNetworkPolicy(hosts: Hosts, controlNamespace: string): HostNetworkPolicy {
  return {
    metadata: metadataOf(hosts),
    spec: {
      podSelector: { matchLabels: selector(hosts) },
      policyTypes: ['Ingress'],
      ingress: [
        {
          ports: [{ port: RUNTIME_PORT }, { port: HOST_INTERNAL_PORT }],
          from: [
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': controlNamespace } },
              podSelector: { matchLabels: { 'app.kubernetes.io/name': 'fissium' } },
            },
          ],
        },
      ],
    },
  };
}

function selector({ environment, namespace }: Hosts): Record<string, string> {
  return {
    [PART_LABEL]: 'wasm-host',
    environmentUid: environment.object.metadata.uid ?? '',
    'fissium.io/functions-of': namespace,
  };
}

function metadataOf(hosts: Hosts): KubeMetadata {
  const { environment, namespace } = hosts;
  const { object } = environment;
  const isHere = environment.resolved.namespace === namespace;
  return {
    name: hostsName(hosts),
    namespace,
    labels: { ...environmentLabels(object), ...MANAGED_BY, ...selector(hosts) },
    // An owner must be in the same namespace; hosts of others are taken away by name.
    ...(isHere ? { ownerReferences: [ownedBy(object)] } : {}),
  };
}
