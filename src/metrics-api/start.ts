import type { Logger } from 'pino';

import type { Loads } from '../executors/loads.ts';
import { Informers, type KubeClient, type KubeObject, RESOURCES } from '../kube/index.ts';
import type { MetricsService } from './api-service.ts';
import { MetricsApi } from './metrics-api.ts';

export interface StartMetricsApiOptions {
  readonly client: KubeClient;
  readonly loads: Loads;
  /** Reads the loads anew, where nobody does so all the time. */
  readonly readLoads?: () => Promise<unknown>;
  readonly logger: Logger;
  /** Whose functions are measured; empty for all. */
  readonly namespaces: readonly string[];
  readonly service: MetricsService;
  /** @default '0.0.0.0' */
  readonly host?: string;
  /** @default 8443 */
  readonly port?: number;
}

export interface StartedMetricsApi {
  readonly api: MetricsApi;
  readonly port: number;
  close(): Promise<void>;
}

const BY_NAMESPACE = 'namespace';

/** The server of custom metrics over the functions that the cluster has. Rejects where no certificate can be had. */
export async function startMetricsApi(options: StartMetricsApiOptions): Promise<StartedMetricsApi> {
  const functions = new Informers<KubeObject>({
    ...options,
    type: RESOURCES.functions,
    indexes: { [BY_NAMESPACE]: ({ metadata }) => [metadata.namespace ?? ''] },
    transform: nameAndLabels,
  }).start();
  const api = new MetricsApi({
    ...options,
    functions: (namespace) => functions.byIndex(BY_NAMESPACE, namespace),
  });
  const close = async (): Promise<void> => {
    await api.close();
    await functions.close();
  };
  try {
    return { api, port: await api.start(), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function nameAndLabels({ metadata }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, labels } = metadata;
  return {
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(labels === undefined ? {} : { labels }),
    },
  };
}
