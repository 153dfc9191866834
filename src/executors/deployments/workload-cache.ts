/** What is on the cluster for functions with Deployments, kept current by watches that both strategies share. */
import type { Logger } from 'pino';

import {
  Informers,
  type KubeClient,
  type KubeObject,
  objectKey,
  RESOURCES,
  type ResourceType,
} from '../../kube/index.ts';
import type { Autoscaler } from './autoscaler.ts';
import type { Deployment, Service } from './objects.ts';
import type { Pod } from './pod-troubles.ts';

const OURS = 'app.kubernetes.io/managed-by=fissium,executorType in (newdeploy,container)';
const BY_FUNCTION = 'function';

export interface WorkloadCacheOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Empty: all. */
  readonly namespaces: readonly string[];
}

export class WorkloadCache {
  readonly deployments: Kept<Deployment>;
  readonly services: Kept<Service>;
  readonly autoscalers: Kept<Autoscaler>;
  readonly pods: Kept<Pod>;

  constructor(options: WorkloadCacheOptions) {
    this.deployments = new Kept(options, RESOURCES.deployments);
    this.services = new Kept(options, RESOURCES.services);
    this.autoscalers = new Kept(options, RESOURCES.horizontalpodautoscalers);
    this.pods = new Kept(options, RESOURCES.pods, withoutSpec);
  }

  /** Calls with the function's `namespace/name` when something of it changed. */
  onChange(tell: (functionKey: string) => void): void {
    const told = ({ metadata: { labels = {} } }: KubeObject): void => {
      tell(objectKey(labels['functionNamespace'], labels['functionName'] ?? ''));
    };
    for (const kept of this.#all()) kept.onChange({ add: told, update: told, delete: told });
  }

  async synced(): Promise<void> {
    await Promise.all(this.#all().map((kept) => kept.synced()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#all().map((kept) => kept.close()));
  }

  #all(): Kept<KubeObject>[] {
    return [this.deployments, this.services, this.autoscalers, this.pods] as unknown as Kept<KubeObject>[];
  }
}

/** Objects of one kind, by function. */
class Kept<T extends KubeObject> extends Informers<T> {
  constructor(options: WorkloadCacheOptions, type: ResourceType, transform?: (object: T) => T) {
    super({
      ...options,
      type,
      labelSelector: OURS,
      indexes: { [BY_FUNCTION]: (object: T) => [object.metadata.labels?.['functionUid'] ?? ''] },
      ...(transform === undefined ? {} : { transform }),
    });
    this.start();
  }

  of(functionUid: string): T[] {
    return this.byIndex(BY_FUNCTION, functionUid);
  }
}

/** Of pods only their labels and their status count. */
function withoutSpec({ metadata, status }: Pod): Pod {
  const { name, namespace, uid, resourceVersion, deletionTimestamp, labels, annotations } = metadata;
  return {
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    ...(status === undefined ? {} : { status }),
  };
}
