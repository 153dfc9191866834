/** Finds what nobody wants any more: what a process left that is no more, and what happened while none led. */
import type { Logger } from 'pino';

import type { Environment, FissionFunction, ResolvedFunction } from '../../api/index.ts';
import { isNotFound, type KubeClient, keyOf, type KubeObject, RESOURCES } from '../../kube/index.ts';
import type { FetcherAccess } from './fetcher-access.ts';
import type { FunctionPods } from './function-pods.ts';
import type { Pool } from './pool.ts';
import { PART_LABEL } from '../pods/labels.ts';
import { CLASS_LABEL, POOL_PART, USUAL_CLASS } from './pool-labels.ts';
import { functionUidOf, poolKeyOf, type PoolPod, stageOf } from './pool-pod.ts';
import type { PodView } from './pod-view.ts';
import type { Specialiser } from './specialiser.ts';

export interface HousekeepingOptions {
  readonly client: KubeClient;
  readonly view: PodView;
  readonly access: FetcherAccess;
  readonly specialiser: Specialiser;
  readonly functions: ReadonlyMap<string, FunctionPods>;
  readonly pools: Map<string, Pool>;
  readonly logger: Logger;
  readonly intervalMs: number;
  readonly now: () => number;
}

export class Housekeeping {
  readonly #options: HousekeepingOptions;
  /** Uids of generic pods whose end was hastened. */
  readonly #hastened = new Set<string>();
  #lastMs: number;
  #running: Promise<void> | undefined;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.#lastMs = options.now();
  }

  /** Returns soon; the rounds go on by themselves, one at a time. */
  async tick(): Promise<void> {
    await this.#hasten();
    const nowMs = this.#options.now();
    if (this.#running !== undefined || nowMs - this.#lastMs < this.#options.intervalMs) return;
    this.#lastMs = nowMs;
    this.#running = this.#round()
      .catch((error: unknown) =>
        this.#options.logger.warn({ err: error }, 'housekeeping failed; it is tried again'),
      )
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Whether the pool's environment is gone, or going: with it go the Deployment and its pods. */
  async isOrphan({ environment }: Pool): Promise<boolean> {
    const { namespace = 'default', name, uid } = environment.object.metadata;
    const found = await this.#find<Environment>(RESOURCES.environments, namespace, name);
    return found?.metadata.uid !== uid || found?.metadata.deletionTimestamp !== undefined;
  }

  /** A generic pod that ends has no calls to wait for, and its place may be needed. */
  async #hasten(): Promise<void> {
    const { view, specialiser } = this.#options;
    const seen = new Set<string>();
    for (const pod of view.all()) {
      const { uid = '', deletionTimestamp } = pod.metadata;
      if (deletionTimestamp === undefined || functionUidOf(pod) !== '') continue;
      seen.add(uid);
      if (this.#hastened.has(uid)) continue;
      this.#hastened.add(uid);
      await specialiser.discard(pod);
    }
    for (const uid of this.#hastened) if (!seen.has(uid)) this.#hastened.delete(uid);
  }

  async #round(): Promise<void> {
    await this.#pods();
    await this.#pools();
    await this.#grants();
  }

  /** Pods that ended by themselves (evicted, say), and pods of functions that are gone. */
  async #pods(): Promise<void> {
    const { view, specialiser, functions } = this.#options;
    const strangers = new Map<string, PoolPod[]>();
    for (const pod of view.all()) {
      const isOver = stageOf(pod) === 'ending' && pod.metadata.deletionTimestamp === undefined;
      if (isOver) await specialiser.discard(pod);
      const uid = functionUidOf(pod);
      if (isOver || uid === '' || functions.has(uid) || stageOf(pod) === 'ending') continue;
      strangers.set(uid, [...(strangers.get(uid) ?? []), pod]);
    }
    for (const [uid, pods] of strangers) {
      const [first] = pods;
      if (first === undefined || (await this.#isOfPools(uid, first))) continue;
      for (const pod of pods) await specialiser.discard(pod, null);
    }
  }

  /** Whether the pod's function is still there, and still runs in pools. */
  async #isOfPools(uid: string, { metadata }: PoolPod): Promise<boolean> {
    const { functionNamespace = metadata.namespace ?? 'default', functionName = '' } = metadata.labels ?? {};
    const fn = await this.#find<FissionFunction>(RESOURCES.functions, functionNamespace, functionName);
    if (fn === undefined || fn.metadata.uid !== uid) return false;
    const strategy = fn.spec.InvokeStrategy?.ExecutionStrategy?.ExecutorType ?? '';
    return strategy === '' || strategy === 'poolmgr';
  }

  /** Pools whose Deployment somebody deleted are made again; those that no function or environment wants go. */
  async #pools(): Promise<void> {
    const { client, pools, functions, view } = this.#options;
    const used = new Set<Pool>();
    for (const { plan } of functions.values()) {
      for (const pool of pools.values()) {
        const isOfEnvironment = pool.environment.object.metadata.uid === plan.environment.object.metadata.uid;
        if (
          isOfEnvironment &&
          (pool.resourceClass === USUAL_CLASS || pool.resourceClass === plan.resourceClass?.name)
        ) {
          used.add(pool);
        }
      }
    }
    for (const [key, pool] of pools) {
      if (await this.isOrphan(pool)) {
        pools.delete(key);
      } else if (pool.resourceClass !== USUAL_CLASS && !used.has(pool)) {
        pools.delete(key);
        await this.#removeDeployment(pool.namespace, pool.name);
      } else {
        pool.distrust();
        await pool.sync();
      }
    }
    // Of classes that only an earlier leader knew.
    const known = new Set([...pools.values()].map((pool) => `${pool.namespace}/${pool.name}`));
    const namespaces = new Set([...view.all()].map(({ metadata }) => metadata.namespace ?? 'default'));
    for (const namespace of namespaces) {
      const { items } = await client.list<KubeObject>(RESOURCES.deployments, namespace, {
        labelSelector: `${PART_LABEL}=${POOL_PART},${CLASS_LABEL}!=${USUAL_CLASS}`,
      });
      for (const deployment of items) {
        const { [PART_LABEL]: part, [CLASS_LABEL]: resourceClass = USUAL_CLASS } =
          deployment.metadata.labels ?? {};
        if (part !== POOL_PART || resourceClass === USUAL_CLASS) continue;
        if (known.has(keyOf(deployment)) || pools.has(poolKeyOf(deployment))) continue;
        await this.#removeDeployment(namespace, deployment.metadata.name);
      }
    }
  }

  async #grants(): Promise<void> {
    const byNamespace = new Map<string, ResolvedFunction[]>();
    for (const { plan } of this.#options.functions.values()) {
      const { resolved } = plan.fn;
      byNamespace.set(resolved.namespace, [...(byNamespace.get(resolved.namespace) ?? []), resolved]);
    }
    for (const namespace of this.#options.access.namespaces()) {
      try {
        await this.#options.access.prune(namespace, byNamespace.get(namespace) ?? []);
      } catch (error) {
        // A namespace that is gone, or going, takes nothing more.
        if (!isNotFound(error)) throw error;
        this.#options.access.forget(namespace);
      }
    }
  }

  async #removeDeployment(namespace: string, name: string): Promise<void> {
    try {
      await this.#options.client.remove(RESOURCES.deployments, namespace, name, {
        propagationPolicy: 'Background',
      });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #find<T extends KubeObject>(
    type: Parameters<KubeClient['get']>[0],
    namespace: string,
    name: string,
  ): Promise<T | undefined> {
    try {
      return await this.#options.client.get<T>(type, namespace, name);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}
