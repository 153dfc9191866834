import type { Logger } from 'pino';

import type { Package, ResolvedScale } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import {
  type EventRecorder,
  isNotFound,
  type KubeClient,
  objectKey,
  RESOURCES,
  type ResourceType,
} from '../../kube/index.ts';
import type { Loads } from '../loads.ts';
import { objectName } from '../pods/object-name.ts';
import type { Demand, FunctionOnCluster, Strategy, StrategyVerdict } from '../strategy.ts';
import { planAutoscaler } from './autoscaler.ts';
import { readSources } from './function-sources.ts';
import { judge } from './judge.ts';
import { ObjectKeeper } from './object-keeper.ts';
import {
  type Deployment,
  deploymentOf,
  type ScaledStrategy,
  serviceOf,
  versionOf,
  type Workload,
  workloadName,
} from './objects.ts';
import { verdictOf } from './refusals.ts';
import { forDemand, mayRest, QUEUE_THRESHOLD, withinBounds } from './scaling.ts';
import type { WorkloadCache } from './workload-cache.ts';

export interface DeploymentStrategyOptions {
  readonly client: KubeClient;
  readonly loads: Loads;
  readonly logger: Logger;
  readonly events: Pick<EventRecorder, 'recordEvent'>;
  /** Whether Kubernetes asks the platform for `custom.metrics.k8s.io`. */
  readonly customMetrics: () => boolean;
  /** Milliseconds of a clock that never goes back. @default performance.now */
  readonly now?: () => number;
}

/** What the strategies differ in. */
export interface WorkloadKind {
  readonly strategy: ScaledStrategy;
  /** @throws FissiumError RESOURCE_INVALID where no pod can be made of it */
  pods(fn: FunctionOnCluster): Pick<Workload, 'pod' | 'mainContainer' | 'port'>;
  /** Whether pods notice changes of secrets, config maps and code by themselves. */
  watchesItself(fn: FunctionOnCluster): boolean;
}

/** Whoever scales, for the API server's books; apart from the one who owns the rest. */
const SCALE_MANAGER = 'fissium-scale';
/** Loads that are older say nothing of now. */
const LOADS_MAX_AGE_MS = 5000;

interface Known {
  readonly fn: FunctionOnCluster;
  readonly scale: ResolvedScale;
  /** Whether an HPA moves the pods between one and the most. */
  readonly autoscaled: boolean;
  /** When calls were last seen to need a pod. */
  activeMs: number;
}

/** A Deployment, a Service and an HPA for each function; from none to one and back by the controller itself. */
export class DeploymentStrategy implements Strategy {
  readonly #kind: WorkloadKind;
  readonly #options: DeploymentStrategyOptions;
  readonly #cache: WorkloadCache;
  readonly #keeper: ObjectKeeper;
  readonly #now: () => number;
  /** By uid. */
  readonly #known = new Map<string, Known>();
  #ticking: Promise<void> | undefined;

  /** The cache stays the caller's to close. */
  constructor(kind: WorkloadKind, cache: WorkloadCache, options: DeploymentStrategyOptions) {
    this.#kind = kind;
    this.#cache = cache;
    this.#options = options;
    this.#keeper = new ObjectKeeper(options.client);
    this.#now = options.now ?? (() => performance.now());
  }

  async reconcile(fn: FunctionOnCluster): Promise<StrategyVerdict> {
    const { scale } = fn.resolved;
    if (scale === null) throw new Error(`${this.#kind.strategy} functions have a scale`);
    await this.#cache.synced();
    try {
      const workload = await this.#workload(fn);
      return 'verdict' in workload ? workload.verdict : await this.#carryOut(fn, workload, scale);
    } catch (thrown) {
      if (thrown instanceof FissiumError && thrown.code === 'RESOURCE_INVALID') {
        return { ready: false, reason: 'PodSpecRefused', message: thrown.message };
      }
      const verdict = verdictOf(thrown);
      if (verdict === undefined) throw thrown;
      return verdict;
    }
  }

  async demand(fn: FunctionOnCluster, demand: Demand): Promise<void> {
    await this.#cache.synced();
    if (this.#liveOf(fn) === undefined) await this.reconcile(fn);
    const known = this.#known.get(fn.resolved.uid);
    const live = this.#liveOf(fn);
    // What was just made is not in the cache yet; routers ask again each second.
    if (known === undefined || live === undefined) return;
    known.activeMs = this.#now();
    await this.#scaleUp(known, live, demand);
  }

  async remove({ namespace, name, uid }: { namespace: string; name: string; uid: string }): Promise<void> {
    this.#known.delete(uid);
    const object = objectName(this.#kind.strategy, { namespace, name, uid });
    const { horizontalpodautoscalers, deployments, services } = RESOURCES;
    for (const type of [horizontalpodautoscalers, deployments, services]) {
      await this.#removeObject(type, namespace, object);
    }
  }

  tick(): Promise<void> {
    this.#ticking ??= this.#tick().finally(() => {
      this.#ticking = undefined;
    });
    return this.#ticking;
  }

  async close(): Promise<void> {
    await this.#ticking;
  }

  async #workload(fn: FunctionOnCluster): Promise<Workload | { verdict: StrategyVerdict }> {
    const { strategy } = this.#kind;
    const pods = this.#kind.pods(await this.#whole(fn));
    const sources = await readSources(this.#options.client, fn.resolved);
    if (!sources.ok) return { verdict: sources.verdict };
    const { object, environment } = fn;
    const revision = this.#kind.watchesItself(fn)
      ? []
      : [object.spec.package?.packageref?.resourceversion ?? '', ...sources.versions];
    return { strategy, fn: object, environment: environment?.object ?? null, ...pods, revision };
  }

  /** Packages are kept in memory without the archives that they hold in themselves. */
  async #whole(fn: FunctionOnCluster): Promise<FunctionOnCluster> {
    const { pkg } = fn;
    if (pkg?.spec.deployment?.literal !== '' || this.#kind.watchesItself(fn)) return fn;
    const { namespace, name } = pkg.metadata;
    return { ...fn, pkg: await this.#options.client.get<Package>(RESOURCES.packages, namespace, name) };
  }

  async #carryOut(fn: FunctionOnCluster, workload: Workload, scale: ResolvedScale): Promise<StrategyVerdict> {
    const { namespace, uid } = fn.resolved;
    const name = workloadName(workload);
    const { autoscaler, leftOut } = planAutoscaler(workload, scale, {
      customMetrics: this.#options.customMetrics(),
    });
    const known: Known = {
      fn,
      scale,
      autoscaled: autoscaler !== null,
      activeMs: this.#known.get(uid)?.activeMs ?? this.#now(),
    };
    this.#known.set(uid, known);
    await this.#keeper.ensure(
      RESOURCES.services,
      serviceOf(workload),
      this.#cache.services.get(namespace, name),
    );
    const deployment = await this.#ensureDeployment(workload, known);
    const liveAutoscaler = this.#cache.autoscalers.get(namespace, name);
    if (autoscaler !== null) {
      await this.#keeper.ensure(RESOURCES.horizontalpodautoscalers, autoscaler, liveAutoscaler);
    } else if (liveAutoscaler !== undefined) {
      await this.#removeObject(RESOURCES.horizontalpodautoscalers, namespace, name);
    }
    return judge({
      deployment,
      pods: this.#cache.pods.of(uid),
      version: versionOf(workload),
      scale,
      leftOut,
    });
  }

  async #ensureDeployment(workload: Workload, known: Known): Promise<Deployment> {
    const { client } = this.#options;
    const { deployments } = RESOURCES;
    const wanted = deploymentOf(workload);
    const { namespace = '', name } = wanted.metadata;
    const live = this.#cache.deployments.get(namespace, name);
    if (live === undefined) return this.#createDeployment(wanted, known);
    const now = await this.#keeper.ensure(deployments, wanted, live);
    const { replicas = 1 } = now.spec;
    const bounded = withinBounds(replicas, known.scale);
    if (bounded === replicas) return now;
    await client.scale(deployments, namespace, name, bounded, { fieldManager: SCALE_MANAGER });
    return { ...now, metadata: { ...now.metadata, generation: (now.metadata.generation ?? 0) + 1 } };
  }

  /**
   * The number of pods belongs to whoever scales from the beginning: once the HPA or a person has set it, applying the
   * rest must not set it back.
   */
  async #createDeployment(wanted: Deployment, { scale, fn }: Known): Promise<Deployment> {
    const { client, loads } = this.#options;
    const { deployments } = RESOURCES;
    const { namespace = '', name } = wanted.metadata;
    const existing = await client.get<Deployment>(deployments, namespace, name).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (existing !== undefined) return this.#keeper.ensure(deployments, wanted, existing);
    const load = loads.functionOf(fn.resolved.uid);
    const replicas = load === undefined ? scale.min : forDemand(scale.min, load, scale, true);
    const spec = { ...wanted.spec, replicas };
    const made = await this.#keeper.ensure(deployments, { ...wanted, spec }, undefined);
    await client.apply(
      deployments,
      { metadata: { namespace, name }, spec: { replicas } } as Pick<Deployment, 'metadata'>,
      { fieldManager: SCALE_MANAGER },
    );
    return made;
  }

  async #tick(): Promise<void> {
    const { loads, logger } = this.#options;
    const { completeAtMs } = loads;
    for (const known of this.#known.values()) {
      const live = this.#liveOf(known.fn);
      if (live === undefined) continue;
      const load = loads.functionOf(known.fn.resolved.uid);
      if (load !== undefined && load.running + load.queued > 0) known.activeMs = this.#now();
      try {
        if (load !== undefined) await this.#scaleUp(known, live, load);
        const isFresh = completeAtMs !== null && performance.now() - completeAtMs <= LOADS_MAX_AGE_MS;
        if (isFresh) await this.#scaleDown(known, live, load);
      } catch (error) {
        logger.warn({ err: error, function: objectKeyOf(known.fn) }, 'a function could not be scaled');
      }
    }
  }

  async #scaleUp({ fn, scale, autoscaled }: Known, live: Deployment, demand: Demand): Promise<void> {
    const replicas = live.spec.replicas ?? 1;
    const busy = demand.queued > 0 || demand.running > replicas * scale.callsPerPod;
    // Where no HPA follows the load, every call that waits counts.
    const threshold = fn.environment?.resolved.scaling.queueThreshold ?? QUEUE_THRESHOLD;
    const wanted = forDemand(replicas, demand, scale, autoscaled ? demand.queued > threshold : busy);
    if (wanted <= replicas) return;
    await this.#setReplicas(fn, live, wanted);
    const { queued, running } = demand;
    this.#tell(
      fn,
      'ScaledUp',
      `From ${replicas} to ${wanted} pods: ${running} calls run and ${queued} wait.`,
    );
  }

  async #scaleDown(
    { fn, scale, autoscaled, activeMs }: Known,
    live: Deployment,
    load: Parameters<typeof mayRest>[0],
  ): Promise<void> {
    const replicas = live.spec.replicas ?? 1;
    // Down to one is the HPA's.
    const least = scale.min === 0 || !autoscaled ? scale.min : replicas;
    if (replicas <= least) return;
    const { idleTimeoutMs } = fn.resolved;
    if (!mayRest(load, { quietMs: this.#now() - activeMs, idleTimeoutMs })) return;
    await this.#setReplicas(fn, live, least);
    const reason = least === 0 ? 'ScaledToZero' : 'ScaledDown';
    this.#tell(fn, reason, `From ${replicas} to ${least} pods: no call for ${idleTimeoutMs / 1000} s.`);
  }

  async #setReplicas(fn: FunctionOnCluster, live: Deployment, replicas: number): Promise<void> {
    const { namespace = '', name } = live.metadata;
    await this.#options.client.scale(RESOURCES.deployments, namespace, name, replicas, {
      fieldManager: SCALE_MANAGER,
    });
    this.#options.logger.info({ function: objectKeyOf(fn), replicas }, 'a function was scaled');
  }

  #tell(fn: FunctionOnCluster, reason: string, message: string): void {
    this.#options.events.recordEvent(RESOURCES.functions, fn.object, 'Normal', reason, message);
  }

  #liveOf({ resolved }: FunctionOnCluster): Deployment | undefined {
    return this.#cache.deployments.get(resolved.namespace, objectName(this.#kind.strategy, resolved));
  }

  async #removeObject(type: ResourceType, namespace: string, name: string): Promise<void> {
    this.#keeper.forget(type, namespace, name);
    try {
      await this.#options.client.remove(type, namespace, name, { propagationPolicy: 'Background' });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

function objectKeyOf({ resolved }: FunctionOnCluster): string {
  return objectKey(resolved.namespace, resolved.name);
}
