/** Giving a running pod the resources of the function that takes it: Kubernetes' in-place resize, 1.33 and later. */
import { isApiError, type KubeClient, RESOURCES } from '../../kube/index.ts';
import { podResources } from '../pods/containers.ts';
import type { ResourceClass } from './pool-objects.ts';
import { poolKey, type PoolPod } from './pool-pod.ts';

interface ApiResources {
  readonly resources?: readonly { readonly name: string }[];
}

/** A node that has not found room for it by then will not soon. */
const DEFERRED_MS = 15_000;

/** Which functions get their resources by a resize, and which have to have a pool of their own. */
export class Resizing {
  readonly #client: KubeClient;
  /** Pools of which a pod could not be resized to a class. */
  readonly #refused = new Set<string>();
  #isServed: boolean | undefined;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** Whether the API server has the subresource; asked once. */
  async discover(): Promise<void> {
    if (this.#isServed !== undefined) return;
    const { resources = [] } = await this.#client.getPath<ApiResources>('/api/v1');
    this.#isServed = resources.some(({ name }) => name === 'pods/resize');
  }

  /** Whether pods of the environment can be tried to be made of that class. */
  isPossible(environmentUid: string, { name }: ResourceClass): boolean {
    return this.#isServed === true && !this.#refused.has(poolKey(environmentUid, name));
  }

  /** From now on that class has a pool of its own. */
  giveUp(environmentUid: string, { name }: ResourceClass): void {
    this.#refused.add(poolKey(environmentUid, name));
  }

  /** Resolves with the pod, or with why the API server does not resize it so. */
  async resize(
    { metadata: { namespace = 'default', name } }: PoolPod,
    container: string,
    { resources }: ResourceClass,
  ): Promise<{ readonly pod: PoolPod } | { readonly refusal: string }> {
    const patch = { spec: { containers: [{ name: container, resources: podResources(resources) }] } };
    try {
      const pod = await this.#client.patchSubresource<PoolPod>(
        RESOURCES.pods,
        namespace,
        name,
        'resize',
        patch,
      );
      return { pod };
    } catch (error) {
      if (!isApiError(error) || error.status === 404 || error.status >= 500) throw error;
      return { refusal: error.message };
    }
  }
}

/** Why the node does not give a pod the resources that it was resized to; undefined where it does, or may yet. */
export function resizeTrouble({ status }: PoolPod, sinceMs: number): string | undefined {
  const pending = status?.conditions?.find(
    ({ type, status: is }) => type === 'PodResizePending' && is === 'True',
  );
  if (pending === undefined) return undefined;
  if (pending.reason !== 'Infeasible' && sinceMs < DEFERRED_MS) return undefined;
  return pending.message ?? pending.reason ?? 'no reason is given';
}
