/** A cluster on which functions are made and removed, for the scenario `pools`. */
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../src/bench/ask.ts';
import { isNotFound, KubeClient, loadKubeConfig, RESOURCES, type KubeObject } from '../src/kube/index.ts';
import { readAddresses } from '../src/kube/listener-addresses.ts';
import {
  environmentObject,
  functionObjects,
  type FunctionOptions,
  type Images,
  type Made,
  NAMESPACE,
  type Variant,
} from './pool-functions.ts';

/** What the user says of the cluster. */
export interface ClusterOptions {
  readonly kubeconfig: string | undefined;
  /** Base URL of the public router, as it is reached from here. */
  readonly router: string | undefined;
  readonly images: Images;
  /** Names of the variants to measure; undefined for all. */
  readonly runs: readonly string[] | undefined;
}

export const USAGE =
  '--kubeconfig FILE (or KUBECONFIG), --router URL of the public router, --python-image IMAGE, --node-image IMAGE';

const ROUTED_WITHIN_MS = 60_000;
const POOL_WITHIN_MS = 120_000;
const UNTOLD_MS = 5_000;
/** Where installations of Fission and Fissium have their routers, unless chosen otherwise. */
const ROUTER_HOST = `router.${process.env['FISSION_NAMESPACE'] ?? 'fission'}.svc.cluster.local`;

type DeployOptions = Omit<FunctionOptions, 'name' | 'environment' | 'images'>;

interface Pod extends KubeObject {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

export class PoolCluster {
  readonly #client: KubeClient;
  readonly #router: string;
  readonly #images: Images;
  readonly #run = randomBytes(3).toString('hex');
  readonly #made = new Map<string, Made[]>();
  readonly #environments = new Map<string, Made>();
  #count = 0;

  /** @throws Error that says which of the options is missing, or that the cluster cannot be used */
  static async open(options: ClusterOptions): Promise<PoolCluster> {
    if (options.kubeconfig === undefined || options.kubeconfig === '')
      throw new Error(`needs a cluster: ${USAGE}`);
    const connection = await loadKubeConfig(options.kubeconfig);
    const router = options.router ?? readAddresses(connection.source)?.router ?? (await routerByName());
    if (router === undefined)
      throw new Error(
        `the cluster's router is not known: ${ROUTER_HOST} is no name here. Run this inside the cluster's network, or give --router URL (${USAGE})`,
      );
    const cluster = new PoolCluster(new KubeClient(connection), router.replace(/\/+$/, ''), options.images);
    try {
      await cluster.#client.getPath('/apis/fission.io/v1');
      await ask(`${router}/`);
    } catch (error) {
      cluster.#client.close();
      throw error;
    }
    return cluster;
  }

  private constructor(client: KubeClient, router: string, images: Images) {
    this.#client = client;
    this.#router = router;
    this.#images = images;
  }

  get program(): string {
    const { python, node } = this.#images;
    return `hello in each language; images: Python ${python ?? 'none'}, Node ${node ?? 'none'}; router ${this.#router}`;
  }

  /** Why functions of this variant cannot be made; null where they can. */
  refuses({ runtime }: Variant): string | null {
    if (runtime === 'wasm' || this.#images[runtime] !== undefined) return null;
    return `needs --${runtime}-image IMAGE`;
  }

  /** Makes a function; resolves with its address once the router knows it. It has not been called. */
  async deploy(options: DeployOptions): Promise<string> {
    const name = `bench-${this.#run}-${this.#count++}`;
    const environment = await this.#environment(options.variant);
    const url = `${this.#router}/${name}`;
    const made: Made[] = [];
    this.#made.set(url, made);
    for (const [type, object] of functionObjects({ ...options, name, environment, images: this.#images })) {
      await this.#client.create(type, object);
      made.push([type, object]);
    }
    await this.#routed(url, name);
    return url;
  }

  async remove(url: string): Promise<void> {
    for (const [type, { metadata }] of (this.#made.get(url) ?? []).toReversed())
      await this.#client.remove(type, NAMESPACE, metadata.name);
    this.#made.delete(url);
  }

  /** Waits until as many pods of a container environment's pool are ready and have no function. */
  async poolReady(variant: Variant, pods: number): Promise<void> {
    if (variant.executor !== 'poolmgr' || variant.runtime === 'wasm') return;
    const environment = await this.#environment(variant);
    const labelSelector = `environmentName=${environment},managed=true`;
    const until = performance.now() + POOL_WITHIN_MS;
    for (;;) {
      const found = await this.#pods(labelSelector);
      if (found >= pods) return;
      if (performance.now() > until)
        throw new Error(`of the pool's pods ${found} of ${pods} are ready after ${POOL_WITHIN_MS / 1000} s`);
      await sleep(100);
    }
  }

  /** Ready pods that have the function at this address. */
  podsOf(url: string): Promise<number> {
    return this.#pods(`functionName=${url.slice(url.lastIndexOf('/') + 1)}`);
  }

  /** Removes what is left. @returns what could not be removed */
  async removeAll(): Promise<string[]> {
    const left: string[] = [];
    for (const objects of [...this.#made.values(), [...this.#environments.values()]]) {
      for (const [type, { metadata }] of objects.toReversed()) {
        await this.#client.remove(type, NAMESPACE, metadata.name).catch((error: unknown) => {
          if (!isNotFound(error)) left.push(`${type.kind} ${metadata.name}`);
        });
      }
    }
    this.#client.close();
    return left;
  }

  async #pods(labelSelector: string): Promise<number> {
    const { items } = await this.#client.list<Pod>(RESOURCES.pods, NAMESPACE, { labelSelector });
    return items.filter(
      ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined &&
        status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true,
    ).length;
  }

  /** The name of the one that functions of a runtime share. */
  async #environment(variant: Variant): Promise<string> {
    const name = `bench-${this.#run}-${variant.runtime}`;
    if (this.#environments.has(name)) return name;
    const made = environmentObject(name, variant, this.#images);
    if (made === undefined) return name;
    await this.#client.create(...made);
    this.#environments.set(name, made);
    return name;
  }

  /** A method that the trigger does not have: a router that knows the route refuses it, and calls nobody. */
  async #routed(url: string, name: string): Promise<void> {
    const beganMs = performance.now();
    const until = beganMs + ROUTED_WITHIN_MS;
    for (;;) {
      const { status } = await ask(`${url}/`, { method: 'DELETE' });
      const why = await this.#whyNotReady(name, performance.now() - beganMs);
      if (status === 405 && why === null) return;
      if (performance.now() > until)
        throw new Error(`function ${name} is not served: ${why ?? `its route answers ${status}`}`);
      await sleep(25);
    }
  }

  /** By its `Ready` condition. Versions of Fission that write none are given the time that it takes to see the object. */
  async #whyNotReady(name: string, sinceMs: number): Promise<string | null> {
    const { status } = await this.#client.get<Pod>(RESOURCES.functions, NAMESPACE, name);
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    if (ready === undefined) return sinceMs > UNTOLD_MS ? null : 'it has no Ready condition yet';
    return ready.status === 'True' ? null : JSON.stringify(ready);
  }
}

/** Inside the cluster's network, where it has a name. */
function routerByName(): Promise<string | undefined> {
  return lookup(ROUTER_HOST).then(
    () => `http://${ROUTER_HOST}`,
    () => undefined,
  );
}
