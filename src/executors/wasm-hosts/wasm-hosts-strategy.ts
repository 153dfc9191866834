import type { HostCallSigner } from '../../auth/host-calls.ts';
import type { Logger } from 'pino';

import { FissiumError } from '../../errors.ts';
import {
  type EnvVar,
  Informers,
  isNotFound,
  type KubeClient,
  type KubeObject,
  RESOURCES,
  type ResourceType,
} from '../../kube/index.ts';
import { ObjectKeeper } from '../deployments/object-keeper.ts';
import { type Pod, troubleOf } from '../deployments/pod-troubles.ts';
import { verdictOf } from '../deployments/refusals.ts';
import type { Loads } from '../loads.ts';
import type { FunctionOnCluster, Strategy, StrategyVerdict } from '../strategy.ts';
import type { HostAccess } from './host-access-keeper.ts';
import {
  hostDeployment,
  hostNetworkPolicy,
  type HostNetworkPolicy,
  type HostDeployment,
  hostService,
  type HostService,
  type Hosts,
  hostsName,
} from './host-objects.ts';
import { HostReports } from './host-reports.ts';
import { HostScaling } from './host-scaling.ts';
import { judgeHosts } from './judge.ts';

export interface WasmHostsOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Empty for all. */
  readonly namespaces: readonly string[];
  readonly loads: Loads;
  /** The platform's own. */
  readonly image: string;
  readonly access: HostAccess;
  /** For what hosts ask of the storage service. @default none */
  readonly hostEnv?: readonly EnvVar[];
  /** For what is asked of hosts, by namespace. @default nothing is signed */
  readonly signerOf?: (namespace: string) => HostCallSigner | undefined;
  /** Where routers and controllers are. */
  readonly controlNamespace: string;
  /** Has a function (`namespace/name`) reconciled again. */
  readonly onChange: (functionKey: string) => void;
}

/** The hosts of an environment in a namespace, and what runs on them. */
interface Pool {
  hosts: Hosts;
  /** By uid: their keys. */
  readonly functions: Map<string, string>;
  readonly scaling: HostScaling;
}

const OURS = 'app.kubernetes.io/managed-by=fissium,fissium.io/part=wasm-host';
const SCALE_MANAGER = 'fissium-scale';

/** Wasm functions of strategy `poolmgr`: any host of the environment in the namespace runs any of them. */
export class WasmHostsStrategy implements Strategy {
  readonly #options: WasmHostsOptions;
  readonly #logger: Logger;
  readonly #keeper: ObjectKeeper;
  readonly #reports: HostReports;
  readonly #deployments: Informers<HostDeployment>;
  readonly #services: Informers<HostService>;
  readonly #policies: Informers<HostNetworkPolicy>;
  readonly #pods: Informers<Pod>;
  /** By `namespace/name` of their Deployment and Service. */
  readonly #pools = new Map<string, Pool>();

  constructor(options: WasmHostsOptions) {
    const { client, namespaces } = options;
    this.#options = options;
    this.#logger = options.logger.child({ component: 'wasm-hosts' });
    this.#keeper = new ObjectKeeper(client);
    this.#reports = new HostReports({
      ...options,
      signerOf: options.signerOf ?? (() => undefined),
      onChange: (service) => this.#changed(service),
    });
    const watch = <T extends KubeObject>(type: ResourceType): Informers<T> =>
      new Informers<T>({ client, logger: this.#logger, namespaces, type, labelSelector: OURS }).start();
    this.#deployments = watch<HostDeployment>(RESOURCES.deployments);
    this.#services = watch<HostService>(RESOURCES.services);
    this.#policies = watch<HostNetworkPolicy>(RESOURCES.networkpolicies);
    this.#pods = watch<Pod>(RESOURCES.pods);
  }

  async reconcile(fn: FunctionOnCluster): Promise<StrategyVerdict> {
    await this.#synced();
    const hosts = hostsOf(fn);
    const key = `${hosts.namespace}/${hostsName(hosts)}`;
    const { uid, generation, namespace, name } = fn.resolved;
    const pool = this.#pool(key, hosts);
    pool.functions.set(uid, `${namespace}/${name}`);
    try {
      await this.#options.access.ensure(hosts.namespace, hosts.environment.resolved);
      const live = await this.#ensure(hosts);
      await this.#scale(key, pool, live);
    } catch (thrown) {
      if (thrown instanceof FissiumError && thrown.code === 'RESOURCE_INVALID')
        return { ready: false, reason: 'PodSpecRefused', message: thrown.message };
      const verdict = verdictOf(thrown);
      if (verdict === undefined) throw thrown;
      return verdict;
    }
    const reports = await this.#reports.of(key, uid);
    return judgeHosts({ generation, reports, wanted: pool.scaling.wanted, trouble: this.#trouble(hosts) });
  }

  /** Hosts for functions in the environment's own namespace, so that the first function finds them running. */
  async reconcileEnvironment(environment: Hosts['environment']): Promise<void> {
    await this.#synced();
    const hosts = { environment, namespace: environment.resolved.namespace };
    const key = `${hosts.namespace}/${hostsName(hosts)}`;
    const pool = this.#pool(key, hosts);
    await this.#options.access.ensure(hosts.namespace, environment.resolved);
    await this.#scale(key, pool, await this.#ensure(hosts));
  }

  async demand(fn: FunctionOnCluster): Promise<void> {
    const hosts = hostsOf(fn);
    const key = `${hosts.namespace}/${hostsName(hosts)}`;
    if (!this.#pools.has(key)) await this.reconcile(fn);
    const pool = this.#pools.get(key);
    const live = this.#deployments.get(hosts.namespace, hostsName(hosts));
    if (pool === undefined || live === undefined) return;
    await this.#scale(key, pool, live, 1);
  }

  async remove({ uid }: { uid: string }): Promise<void> {
    for (const [key, pool] of this.#pools) {
      const isPool = pool.hosts.environment.resolved.namespace === pool.hosts.namespace;
      if (!pool.functions.delete(uid) || pool.functions.size > 0 || isPool) continue;
      this.#pools.delete(key);
      await this.#removeHosts(pool.hosts);
    }
  }

  async tick(): Promise<void> {
    for (const [key, pool] of this.#pools) {
      const { namespace } = pool.hosts;
      const live = this.#deployments.get(namespace, hostsName(pool.hosts));
      if (live !== undefined) await this.#scale(key, pool, live);
    }
  }

  async close(): Promise<void> {
    const informers = this.#informers();
    await Promise.all([this.#reports.close(), ...informers.map((informer) => informer.close())]);
  }

  #informers(): Pick<Informers<KubeObject>, 'synced' | 'close'>[] {
    return [this.#deployments, this.#services, this.#policies, this.#pods];
  }

  async #synced(): Promise<void> {
    const informers = this.#informers();
    await Promise.all([this.#reports.synced(), ...informers.map((informer) => informer.synced())]);
  }

  #pool(key: string, hosts: Hosts): Pool {
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = { hosts, functions: new Map(), scaling: new HostScaling() };
      this.#pools.set(key, pool);
      const live = this.#deployments.get(hosts.namespace, hostsName(hosts));
      const { scaling } = hosts.environment.resolved;
      if (live !== undefined) pool.scaling.found(live.spec.replicas ?? 1, scaling, performance.now());
    }
    pool.hosts = hosts;
    return pool;
  }

  async #ensure(hosts: Hosts): Promise<HostDeployment> {
    const { namespace } = hosts;
    const name = hostsName(hosts);
    const { deployments, services, networkpolicies } = RESOURCES;
    const policy = hostNetworkPolicy(hosts, this.#options.controlNamespace);
    await this.#keeper.ensure(networkpolicies, policy, this.#policies.get(namespace, name));
    await this.#keeper.ensure(services, hostService(hosts), this.#services.get(namespace, name));
    const deployment = hostDeployment(hosts, this.#options.image, this.#options.hostEnv);
    return this.#keeper.ensure(deployments, deployment, this.#deployments.get(namespace, name));
  }

  /** @param least hosts to have whatever the loads say: somebody waits */
  async #scale(key: string, pool: Pool, live: HostDeployment, least = 0): Promise<void> {
    const { loads, client } = this.#options;
    const { object, resolved } = pool.hosts.environment;
    let running = 0;
    let queued = 0;
    for (const uid of pool.functions.keys()) {
      const load = loads.functionOf(uid);
      running += load?.running ?? 0;
      queued += load?.queued ?? 0;
    }
    const nowMs = performance.now();
    const wanted = pool.scaling.next(
      {
        // Where the environment says nothing one host is kept: it runs what a hundred of Fission's pods do.
        minimum: object.spec.poolsize ?? 1,
        running,
        queued,
        loadsAgeMs: loads.completeAtMs === null ? null : nowMs - loads.completeAtMs,
        least,
        replicas: live.spec.replicas,
      },
      resolved.scaling,
      nowMs,
    );
    if (wanted === null) return;
    const { namespace = '', name } = live.metadata;
    await client.scale(RESOURCES.deployments, namespace, name, wanted, { fieldManager: SCALE_MANAGER });
    this.#logger.info({ hosts: key, from: live.spec.replicas, to: wanted, running, queued }, 'hosts scaled');
  }

  #changed(service: string): void {
    for (const key of this.#pools.get(service)?.functions.values() ?? []) this.#options.onChange(key);
  }

  #trouble({ environment, namespace }: Hosts): StrategyVerdict | undefined {
    const { uid } = environment.object.metadata;
    for (const pod of this.#pods.values()) {
      if (pod.metadata.namespace !== namespace || pod.metadata.labels?.['environmentUid'] !== uid) continue;
      const trouble = troubleOf(pod);
      if (trouble !== undefined) return { ready: false, ...trouble };
    }
    return undefined;
  }

  /** Hosts beside the environment's own pool, which nothing needs any more. */
  async #removeHosts(hosts: Hosts): Promise<void> {
    const { client } = this.#options;
    for (const type of [RESOURCES.deployments, RESOURCES.services, RESOURCES.networkpolicies]) {
      try {
        await client.remove(type, hosts.namespace, hostsName(hosts));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      this.#keeper.forget(type, hosts.namespace, hostsName(hosts));
    }
  }
}

function hostsOf({ environment, resolved }: FunctionOnCluster): Hosts {
  if (environment === null) throw new Error('a Wasm function has an environment');
  return { environment, namespace: resolved.namespace };
}
