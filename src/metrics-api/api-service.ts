/** Tells Kubernetes that the platform answers for `custom.metrics.k8s.io`, unless another does already. */
import { isDeepStrictEqual } from 'node:util';

import { type KubeClient, type KubeObject, RESOURCES } from '../kube/index.ts';
import { GROUP, VERSIONS } from './documents.ts';

export type ApiService = KubeObject & {
  readonly spec?: {
    readonly group?: string;
    readonly version?: string;
    readonly service?: { readonly namespace?: string; readonly name?: string; readonly port?: number } | null;
    readonly caBundle?: string;
  };
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
};

/** The Service that leads to the controllers' metrics port. */
export interface MetricsService {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

export interface MetricsApiState {
  /** `ours`: Kubernetes asks the platform. `other`: another adapter. `unavailable`: us, but it gets no answer. */
  readonly state: 'ours' | 'other' | 'absent' | 'unavailable';
  /** For a person: what is so, and what to do about it. */
  readonly message: string;
}

/** Before the metrics of a cluster's own, after nothing else. */
const GROUP_PRIORITY = 100;
const FIELD_MANAGER = 'fissium';

/** Who answers for custom metrics, from all APIServices of the cluster; also for `fissium check`. */
export function judgeMetricsApi(
  apiServices: readonly ApiService[],
  own: Pick<MetricsService, 'namespace' | 'name'>,
): MetricsApiState {
  const answering = apiServices.filter(({ spec }) => spec?.group === GROUP);
  const other = answering.find((apiService) => !isOwn(apiService, own));
  if (other !== undefined) {
    const { namespace = '', name = '' } = other.spec?.service ?? {};
    return {
      state: 'other',
      message: `${other.metadata.name} is served by ${namespace}/${name}: functions scale by CPU and by the controller alone, not by calls in flight through the HPA. Remove that adapter, or give functions hpaMetrics that it serves.`,
    };
  }
  if (answering.length === 0) {
    return {
      state: 'absent',
      message: `No APIService of ${GROUP} is registered. The controller that leads registers it; see its log.`,
    };
  }
  for (const { metadata, status } of answering) {
    const available = status?.conditions?.find(({ type }) => type === 'Available');
    if (available?.status === 'True') continue;
    const why = available?.message ?? available?.reason ?? 'no reason is given yet';
    return {
      state: 'unavailable',
      message: `Kubernetes cannot reach ${metadata.name} at ${own.namespace}/${own.name}: ${why}. Do the controllers run, and does a network policy let the API server in?`,
    };
  }
  return { state: 'ours', message: `${GROUP} is served by ${own.namespace}/${own.name}.` };
}

/** Registers all versions, or leaves things as they are where another adapter answers. Idempotent. */
export async function registerMetricsApi(
  client: KubeClient,
  service: MetricsService,
  caCertificate: string,
): Promise<MetricsApiState> {
  const { items } = await client.list<ApiService>(RESOURCES.apiservices, undefined);
  const before = judgeMetricsApi(items, service);
  if (before.state === 'other') return before;
  for (const [index, version] of VERSIONS.entries()) {
    const name = `${version}.${GROUP}`;
    const spec = {
      group: GROUP,
      version,
      groupPriorityMinimum: GROUP_PRIORITY,
      versionPriority: GROUP_PRIORITY - index * 10,
      service: { ...service },
      caBundle: Buffer.from(caCertificate).toString('base64'),
    };
    const live = items.find(({ metadata }) => metadata.name === name);
    if (live !== undefined && isDeepStrictEqual({ ...live.spec }, spec)) continue;
    await client.apply(
      RESOURCES.apiservices,
      { metadata: { name, labels: { 'app.kubernetes.io/managed-by': 'fissium' } }, spec } as KubeObject,
      { fieldManager: FIELD_MANAGER },
    );
  }
  return before;
}

function isOwn(
  { spec }: ApiService,
  { namespace, name }: Pick<MetricsService, 'namespace' | 'name'>,
): boolean {
  return spec?.service?.namespace === namespace && spec.service.name === name;
}
