/** The Deployment and the Service of one function; pure. */
import { createHash } from 'node:crypto';

import type { Environment, FissionFunction } from '../../api/index.ts';
import type { DeploymentSpec, KubeMetadata, KubeObject, PodSpec, ServiceSpec } from '../../kube/index.ts';
import { functionLabels, functionSelector, VERSION_ANNOTATION } from '../pods/labels.ts';
import { objectName } from '../pods/object-name.ts';

export type ScaledStrategy = 'newdeploy' | 'container';

export type Deployment = KubeObject & {
  readonly spec: DeploymentSpec;
  readonly status?: DeploymentStatus;
};
export type Service = KubeObject & { readonly spec: ServiceSpec };

/** What of a Deployment's status is looked at. */
export interface DeploymentStatus {
  readonly observedGeneration?: number;
  readonly replicas?: number;
  readonly updatedReplicas?: number;
  readonly readyReplicas?: number;
  readonly availableReplicas?: number;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
  }[];
}

/** What a strategy makes of a function. */
export interface Workload {
  readonly strategy: ScaledStrategy;
  readonly fn: FissionFunction;
  readonly environment: Environment | null;
  readonly pod: PodSpec;
  /** The container that answers, for metrics of it alone. */
  readonly mainContainer: string;
  /** Where it answers. */
  readonly port: number;
  /** Whatever else the pods would notice: versions of secrets and config maps, of the code. */
  readonly revision: readonly string[];
}

/** A new pod serves this long before the next old one goes: one that dies at once stops the rollout. */
const MIN_READY_SECONDS = 2;
const SERVICE_PORT = 80;

export function workloadName({ strategy, fn }: Pick<Workload, 'strategy' | 'fn'>): string {
  const { namespace = 'default', name, uid = '' } = fn.metadata;
  return objectName(strategy, { namespace, name, uid });
}

/**
 * Without `replicas`: those belong to whoever scales. New pods come before old ones go, so that a new version makes
 * no request fail.
 */
export function deploymentOf(workload: Workload): Deployment {
  const { strategy, fn, pod } = workload;
  const metadata = metadataOf(workload);
  const labels = metadata.labels ?? {};
  return {
    metadata,
    spec: {
      selector: { matchLabels: functionSelector(fn.metadata.uid ?? '', strategy) },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: 0 } },
      minReadySeconds: MIN_READY_SECONDS,
      // Nobody rolls back to a version of the pods: the function is what is rolled back.
      revisionHistoryLimit: 0,
      template: {
        metadata: { labels, annotations: { [VERSION_ANNOTATION]: versionOf(workload) } },
        spec: pod,
      },
    },
  };
}

export function serviceOf(workload: Workload): Service {
  const { strategy, fn, port } = workload;
  return {
    metadata: metadataOf(workload),
    spec: {
      type: 'ClusterIP',
      selector: functionSelector(fn.metadata.uid ?? '', strategy),
      ports: [{ name: 'http-env', port: SERVICE_PORT, targetPort: port, protocol: 'TCP' }],
    },
  };
}

/** What the objects of a function have in common; they go with it. */
export function metadataOf({ strategy, fn, environment }: Workload): KubeMetadata {
  const { namespace = 'default', name, uid = '' } = fn.metadata;
  return {
    name: workloadName({ strategy, fn }),
    namespace,
    labels: functionLabels(fn, environment, strategy),
    ownerReferences: [
      {
        apiVersion: 'fission.io/v1',
        kind: 'Function',
        name,
        uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
}

/** The same for the same pods. */
export function versionOf({ pod, revision }: Pick<Workload, 'pod' | 'revision'>): string {
  return createHash('sha256')
    .update(JSON.stringify([pod, revision]))
    .digest('hex')
    .slice(0, 16);
}
