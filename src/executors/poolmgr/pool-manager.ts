import { createHash } from 'node:crypto';

import type { Logger } from 'pino';
import { Agent } from 'undici';

import type { Environment, ResolvedEnvironment } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import type { Events, KubeClient } from '../../kube/index.ts';
import type { Loads } from '../loads.ts';
import type { Demand, FunctionOnCluster, Strategy, StrategyVerdict } from '../strategy.ts';
import { deriveServiceKey, signedHeaders } from '../../auth/internal-auth.ts';
import { readSources } from '../deployments/function-sources.ts';
import { verdictOf } from '../deployments/refusals.ts';
import { fetcherKeyEnv } from '../pods/auth-keys.ts';
import { FetcherAccess } from './fetcher-access.ts';
import { FetcherClient, type FetcherClientOptions } from './fetcher-client.ts';
import { FunctionPods } from './function-pods.ts';
import { Housekeeping } from './housekeeping.ts';
import { Pool } from './pool.ts';
import { planPoolFunction, type PoolFunction } from './pool-function.ts';
import { USUAL_CLASS } from './pool-labels.ts';
import type { PoolEnvironment, ResourceClass } from './pool-objects.ts';
import { functionUidOf, poolKey, poolKeyOf, type PoolPod, stageOf } from './pool-pod.ts';
import { functionVerdict, poolVerdict } from './pool-verdicts.ts';
import { PodView } from './pod-view.ts';
import { Resizing } from './resizing.ts';
import { Specialiser } from './specialiser.ts';

export interface PoolManagerOptions {
  readonly client: KubeClient;
  readonly events: Events;
  readonly loads: Loads;
  readonly logger: Logger;
  /** The platform's own image, for fetchers (`FISSIUM_IMAGE`). */
  readonly image: string;
  /** Empty for all. */
  readonly namespaces: readonly string[];
  /** Of Fission's internal authentication; null where it is off. */
  readonly authSecret: string | null;
  /** Called with `namespace/name` when {@link Strategy.reconcile} would say something else of a function. */
  readonly onChange: (functionKey: string) => void;
  /** @default Fission's, 8000 */
  readonly fetcherPort?: number;
  /** How long after its start, and how often, what nobody wants any more is looked for. @default 60000 */
  readonly housekeepingMs?: number;
  /** Of a clock that never goes back, milliseconds. @default performance.now() */
  readonly now?: () => number;
}

const HOUSEKEEPING_MS = 60_000;
const FETCHER_CONNECTIONS = 4;

/**
 * The strategy `poolmgr` for container environments: pools of generic pods, of which functions take those that their calls
 * need. All state is in labels and annotations of pods; what is kept here can be lost.
 */
export class PoolManager implements Strategy {
  readonly #options: PoolManagerOptions;
  readonly #logger: Logger;
  readonly #view: PodView;
  readonly #agent = new Agent({ connections: FETCHER_CONNECTIONS, pipelining: 1, keepAliveTimeout: 1000 });
  readonly #resizing: Resizing;
  readonly #access: FetcherAccess;
  readonly #specialiser: Specialiser;
  readonly #housekeeping: Housekeeping;
  readonly #functions = new Map<string, FunctionPods>();
  readonly #pools = new Map<string, Pool>();
  /** What the functions of a pool were last told of its trouble, by pool. */
  readonly #troubles = new Map<string, string>();
  readonly #now: () => number;
  #isScaleScheduled = false;
  #isClosed = false;

  private constructor(options: PoolManagerOptions) {
    this.#options = options;
    const { client, logger, namespaces, fetcherPort, authSecret } = options;
    this.#logger = logger.child({ component: 'poolmgr' });
    this.#now = options.now ?? (() => performance.now());
    this.#view = new PodView({ client, logger: this.#logger, namespaces }, (pod) => this.#podChanged(pod));
    this.#resizing = new Resizing(client);
    this.#access = new FetcherAccess(client, authSecret);
    this.#specialiser = new Specialiser({
      client,
      view: this.#view,
      resizing: this.#resizing,
      logger: this.#logger,
      fetcher: new FetcherClient({
        agent: this.#agent,
        ...(fetcherPort === undefined ? {} : { port: fetcherPort }),
        ...(authSecret === null ? {} : { sign: signerOf(authSecret) }),
      }),
      poolFor: (plan) => this.#poolOf(plan),
    });
    this.#housekeeping = new Housekeeping({
      client,
      view: this.#view,
      access: this.#access,
      specialiser: this.#specialiser,
      functions: this.#functions,
      pools: this.#pools,
      logger: this.#logger,
      intervalMs: options.housekeepingMs ?? HOUSEKEEPING_MS,
      now: this.#now,
    });
  }

  /** Resolves when all pods of pools are known. Rejects where the API server cannot be asked. */
  static async start(options: PoolManagerOptions): Promise<PoolManager> {
    const manager = new PoolManager(options);
    manager.#view.start();
    try {
      await Promise.all([manager.#view.synced(), manager.#resizing.discover()]);
    } catch (error) {
      await manager.close();
      throw error;
    }
    return manager;
  }

  /** Keeps the environment's pool also while it has no functions, so that the first call of the first finds a pod. */
  async reconcileEnvironment(environment: {
    readonly object: Environment;
    readonly resolved: ResolvedEnvironment;
  }): Promise<StrategyVerdict> {
    const pool = this.#refused(() => this.#ensurePool(environment, null));
    if ('verdict' in pool) return pool.verdict;
    await this.#access.ensure(pool.value.namespace);
    await this.#scale();
    const refusal = await this.#sync(pool.value);
    return refusal ?? poolVerdict(pool.value);
  }

  /** Its Deployments and pods go with it, since it owns them. */
  removeEnvironment(uid: string): void {
    for (const [key, pool] of this.#pools) {
      if (pool.environment.object.metadata.uid === uid) this.#dropPool(key);
    }
  }

  async reconcile(fn: FunctionOnCluster): Promise<StrategyVerdict> {
    const sources = await readSources(this.#options.client, fn.resolved);
    if (!sources.ok) return sources.verdict;
    const result = this.#refused(() => {
      const planned = planPoolFunction(fn, sources.versions);
      return planned.ok ? { plan: planned.plan, pool: this.#poolOf(planned.plan) } : planned;
    });
    if ('verdict' in result) return result.verdict;
    if ('verdict' in result.value) return result.value.verdict;
    const { plan, pool } = result.value;
    await this.#access.grant(fn.resolved);
    const pods = this.#functions.get(fn.resolved.uid);
    if (pods === undefined) this.#add(plan);
    else pods.update(plan);
    await this.#scale();
    const refusal = await this.#sync(pool);
    return refusal ?? functionVerdict(this.#functions.get(fn.resolved.uid), pool);
  }

  async demand(fn: FunctionOnCluster, demand: Demand): Promise<void> {
    const { uid } = fn.resolved;
    if (!this.#functions.has(uid)) await this.reconcile(fn);
    this.#functions.get(uid)?.demand(demand);
  }

  /** Why calls of a function find no pod; undefined where they do, or will in a moment. */
  failure(uid: string): StrategyVerdict | undefined {
    return this.#functions.get(uid)?.failure;
  }

  async remove({ uid }: { readonly uid: string }): Promise<void> {
    const pods = this.#functions.get(uid);
    this.#functions.delete(uid);
    pods?.close();
    const left = this.#view.ofFunction(uid).filter((pod) => stageOf(pod) !== 'ending');
    // Calls that run may end within the pod's own grace period.
    await Promise.all(left.map((pod) => this.#specialiser.discard(pod, null)));
  }

  async tick(): Promise<void> {
    for (const pods of this.#functions.values()) pods.converge();
    await this.#scale();
    this.#tellTroubles();
    await this.#housekeeping.tick();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const pods of this.#functions.values()) pods.close();
    await this.#view.close();
    await this.#agent.destroy();
  }

  #add(plan: PoolFunction): void {
    const { namespace, name, uid } = plan.fn.resolved;
    const { events, loads } = this.#options;
    const pods = new FunctionPods(plan, {
      view: this.#view,
      specialiser: this.#specialiser,
      resizing: this.#resizing,
      events,
      loads,
      logger: this.#logger,
      now: this.#now,
      onFailureChange: () => this.#options.onChange(`${namespace}/${name}`),
      onStart: () => this.#scheduleScale(),
    });
    this.#functions.set(uid, pods);
    pods.converge();
  }

  #podChanged(pod: PoolPod): void {
    if (this.#isClosed) return;
    const pool = this.#pools.get(poolKeyOf(pod));
    if (pool !== undefined && pool.waiting > 0) pool.pump();
    // One that was taken is one more that is busy, and one that is missing less.
    if (pool !== undefined && stageOf(pod) !== 'generic') this.#scheduleScale();
    // Not from within: what changed a pod here goes on by itself.
    const uid = functionUidOf(pod);
    if (uid !== '' && stageOf(pod) === 'ending') queueMicrotask(() => this.#functions.get(uid)?.converge());
  }

  #poolOf(plan: PoolFunction): Pool {
    return this.#ensurePool(plan.environment, this.#ownClassOf(plan));
  }

  /** The class of pods that the function takes, where they cannot be the environment's usual ones. */
  #ownClassOf({ environment, resourceClass }: PoolFunction): ResourceClass | null {
    const uid = environment.object.metadata.uid ?? '';
    return resourceClass === null || this.#resizing.isPossible(uid, resourceClass) ? null : resourceClass;
  }

  #ensurePool(environment: PoolEnvironment, resourceClass: ResourceClass | null): Pool {
    const key = poolKey(environment.object.metadata.uid ?? '', resourceClass?.name ?? USUAL_CLASS);
    const known = this.#pools.get(key);
    if (known !== undefined) {
      if (isNewer(environment, known.environment)) known.update(environment);
      return known;
    }
    const { client, image, authSecret } = this.#options;
    const pool = new Pool(environment, {
      client,
      view: this.#view,
      logger: this.#logger,
      now: this.#now,
      busy: (of) => this.#busy(of),
      image,
      fetcherEnv: authSecret === null ? [] : fetcherKeyEnv(authSecret),
      resourceClass,
    });
    this.#pools.set(key, pool);
    return pool;
  }

  #busy({ object: { metadata } }: PoolEnvironment): number {
    let busy = 0;
    for (const pod of this.#view.all()) {
      const stage = stageOf(pod);
      const isOfIt = pod.metadata.labels?.['environmentUid'] === metadata.uid;
      if (isOfIt && stage !== 'generic' && stage !== 'ending') busy += 1;
    }
    return busy;
  }

  #dropPool(key: string): void {
    this.#pools.delete(key);
    this.#troubles.delete(key);
  }

  /** Soon, and once for all that ask for it. */
  #scheduleScale(): void {
    if (this.#isScaleScheduled) return;
    this.#isScaleScheduled = true;
    queueMicrotask(() => {
      this.#isScaleScheduled = false;
      if (this.#isClosed) return;
      this.#scale().catch((error: unknown) =>
        this.#logger.warn({ err: error }, 'a pool could not be scaled'),
      );
    });
  }

  /** Has every pool as large as its functions need. */
  async #scale(): Promise<void> {
    if (this.#isClosed) return;
    const queued = new Map<string, number>();
    for (const pods of this.#functions.values()) {
      const uid = pods.plan.environment.object.metadata.uid ?? '';
      queued.set(uid, (queued.get(uid) ?? 0) + pods.queued);
    }
    const pools = [...this.#pools.values()];
    for (const pool of pools) {
      const uid = pool.environment.object.metadata.uid ?? '';
      pool.scale(queued.get(uid) ?? 0);
    }
    await Promise.all(pools.map((pool) => this.#syncInBackground(pool)));
  }

  /** Never rejects. A pool that cannot be written waits a while, and goes where its environment is gone. */
  async #syncInBackground(pool: Pool): Promise<void> {
    if (!pool.mayTry) return;
    try {
      await pool.sync();
    } catch (error) {
      this.#logger.warn({ err: error, pool: pool.name }, 'a pool could not be written');
      try {
        if (await this.#housekeeping.isOrphan(pool)) this.#dropPool(pool.key);
      } catch {
        // Asked again when it is tried again.
      }
    }
  }

  /** Tells functions that wait for a pod why there is none, once for each new reason. */
  #tellTroubles(): void {
    for (const [key, pool] of this.#pools) {
      const trouble = pool.trouble();
      const words = trouble === undefined ? '' : `${trouble.reason}: ${trouble.message}`;
      const known = this.#troubles.get(key) ?? '';
      if (words === known) continue;
      this.#troubles.set(key, words);
      for (const pods of this.#functions.values()) {
        const { environment } = pods.plan;
        const ownClass = this.#ownClassOf(pods.plan)?.name ?? USUAL_CLASS;
        if (poolKey(environment.object.metadata.uid ?? '', ownClass) !== key) continue;
        if (trouble !== undefined && pods.starting > 0) pods.warn(trouble.reason, trouble.message);
        const { namespace, name } = pods.plan.fn.resolved;
        this.#options.onChange(`${namespace}/${name}`);
      }
    }
  }

  /** What the API server has against the pool, if it is not only for the time being. */
  async #sync(pool: Pool): Promise<StrategyVerdict | undefined> {
    try {
      await pool.sync();
      return undefined;
    } catch (error) {
      const verdict = verdictOf(error);
      if (verdict === undefined) throw error;
      return verdict;
    }
  }

  #refused<T>(make: () => T): { readonly value: T } | { readonly verdict: StrategyVerdict } {
    try {
      return { value: make() };
    } catch (error) {
      if (!(error instanceof FissiumError) || error.code !== 'RESOURCE_INVALID') throw error;
      return { verdict: { ready: false, reason: 'EnvironmentInvalid', message: error.message } };
    }
  }
}

/** Pods of a namespace know only its own keys. */
function signerOf(authSecret: string): NonNullable<FetcherClientOptions['sign']> {
  return ({ method, uri, body, namespace }) => {
    const bodyDigest = createHash('sha256').update(body).digest('hex');
    return signedHeaders(deriveServiceKey(authSecret, 'fetcher', namespace), { method, uri, bodyDigest });
  };
}

/** Functions may have been planned with an environment as it was before. */
function isNewer(one: PoolEnvironment, other: PoolEnvironment): boolean {
  const [mine, theirs] = [one, other].map(({ object }) => Number(object.metadata.resourceVersion ?? 0));
  return one !== other && (mine ?? 0) >= (theirs ?? 0);
}
