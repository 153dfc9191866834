/** A cluster on which functions of any executor are made and removed, for the scenario `pools`. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../src/bench/ask.ts';
import {
  isNotFound,
  KubeClient,
  loadKubeConfig,
  RESOURCES,
  type KubeObject,
  type ResourceType,
} from '../src/kube/index.ts';
import { readAddresses } from '../src/kube/listener-addresses.ts';

export type Executor = 'poolmgr' | 'newdeploy' | 'container';

/** What the user says of the cluster. */
export interface ClusterOptions {
  readonly kubeconfig: string | undefined;
  /** Address at which functions are asked without a route: the router's internal listener. */
  readonly router: string | undefined;
  /** Image of the environment, for poolmgr and newdeploy; `wasm` is the platform's own. */
  readonly image: string | undefined;
  /** The function's code, which the environment loads. */
  readonly code: string | undefined;
  /** Image that answers HTTP on port 8888 by itself, for container. */
  readonly container: string | undefined;
}

export const USAGE =
  '--kubeconfig FILE (or KUBECONFIG), --router URL of the internal listener, --env-image IMAGE with --code FILE (for poolmgr and newdeploy), --container-image IMAGE (for container)';

const NAMESPACE = 'default';
const ROUTED_WITHIN_MS = 30_000;
const LITERAL_LIMIT_BYTES = 256 * 1024;

type Made = readonly [type: ResourceType, object: KubeObject & { readonly spec: unknown }];
type Objects = readonly Made[];

export class PoolCluster {
  readonly #client: KubeClient;
  readonly #router: string;
  readonly #options: ClusterOptions;
  readonly #run = randomBytes(3).toString('hex');
  readonly #made = new Map<string, Objects>();
  #environments: Objects = [];
  #count = 0;

  /** @throws Error that says which of the options is missing, or that the cluster cannot be used */
  static async open(options: ClusterOptions): Promise<PoolCluster> {
    if (options.kubeconfig === undefined || options.kubeconfig === '')
      throw new Error(`needs a cluster: ${USAGE}`);
    const connection = await loadKubeConfig(options.kubeconfig);
    const router = options.router ?? readAddresses(connection.source)?.internal;
    if (router === undefined)
      throw new Error(`the address of the cluster's router is not known: --router URL (${USAGE})`);
    const cluster = new PoolCluster(new KubeClient(connection), router.replace(/\/+$/, ''), options);
    try {
      await cluster.#client.getPath('/apis/fission.io/v1');
    } catch (error) {
      cluster.#client.close();
      throw error;
    }
    return cluster;
  }

  private constructor(client: KubeClient, router: string, options: ClusterOptions) {
    this.#client = client;
    this.#router = router;
    this.#options = options;
  }

  get program(): string {
    const { image, code, container } = this.#options;
    return `environment ${image ?? 'none'} with ${code ?? 'no code'}; container ${container ?? 'none'}`;
  }

  /** Why functions of this executor cannot be made; null where they can. */
  refuses(executor: Executor): string | null {
    const { image, code, container } = this.#options;
    if (executor === 'container') return container === undefined ? 'needs --container-image IMAGE' : null;
    if (image === undefined || code === undefined) return 'needs --env-image IMAGE and --code FILE';
    if (!existsSync(code)) return `--code ${code}: there is no such file`;
    if (readFileSync(code).length > LITERAL_LIMIT_BYTES)
      return `--code ${code} is larger than ${LITERAL_LIMIT_BYTES / 1024} KiB, which a Package's own text can hold`;
    return null;
  }

  /** Makes a function and resolves with its address once the router knows it. It has not been called. */
  async deploy(executor: Executor): Promise<string> {
    const name = `bench-${this.#run}-${this.#count++}`;
    if (executor !== 'container') await this.#environment();
    const objects = functionObjects(executor, name, `bench-${this.#run}`, this.#options);
    const url = `${this.#router}/fission-function/${name}`;
    const made: Made[] = [];
    this.#made.set(url, made);
    for (const [type, object] of objects) {
      await this.#client.create(type, object);
      made.push([type, object]);
    }
    await this.#routed(url);
    return url;
  }

  async remove(url: string): Promise<void> {
    for (const [type, { metadata }] of (this.#made.get(url) ?? []).toReversed())
      await this.#client.remove(type, NAMESPACE, metadata.name);
    this.#made.delete(url);
  }

  /** Removes what is left. @returns what could not be removed */
  async removeAll(): Promise<string[]> {
    const left: string[] = [];
    for (const objects of [...this.#made.values(), this.#environments]) {
      for (const [type, { metadata }] of objects.toReversed()) {
        await this.#client.remove(type, NAMESPACE, metadata.name).catch((error: unknown) => {
          if (!isNotFound(error)) left.push(`${type.kind} ${metadata.name}`);
        });
      }
    }
    this.#client.close();
    return left;
  }

  async #environment(): Promise<void> {
    if (this.#environments.length > 0) return;
    const name = `bench-${this.#run}`;
    const spec = { version: 3, poolsize: 3, runtime: { image: this.#options.image ?? '' } };
    const environment = { ...api('Environment', name), spec };
    await this.#client.create(RESOURCES.environments, environment);
    this.#environments = [[RESOURCES.environments, environment]];
  }

  /** The router answers 404 to what it does not know yet; a HEAD to a path of none calls no function. */
  async #routed(url: string): Promise<void> {
    const until = performance.now() + ROUTED_WITHIN_MS;
    const name = url.slice(url.lastIndexOf('/') + 1);
    for (;;) {
      const found = await this.#client.get<WithStatus>(RESOURCES.functions, NAMESPACE, name);
      const ready = found.status?.conditions?.find(({ type }) => type === 'Ready');
      if (ready?.status === 'True') return;
      // Fission itself writes no such condition: its router is given the time that it takes to see the object.
      if (ready === undefined && performance.now() > until - ROUTED_WITHIN_MS + 3000) {
        const { status } = await ask(`${this.#router}/_version`).catch(() => ({ status: 0 }));
        if (status === 0) throw new Error(`the router ${this.#router} does not answer`);
        return;
      }
      if (performance.now() > until)
        throw new Error(
          `function ${name} is not ready: ${JSON.stringify(found.status?.conditions ?? 'no status')}`,
        );
      await sleep(50);
    }
  }
}

type WithStatus = KubeObject & {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
};

const api = (kind: string, name: string) => ({
  apiVersion: 'fission.io/v1',
  kind,
  metadata: { name, namespace: NAMESPACE },
});

/** Package and Function of an executor; container has its image and no package. */
export function functionObjects(
  executor: Executor,
  name: string,
  environmentName: string,
  { code = '', container = '' }: ClusterOptions,
): Objects {
  // Fission's own benchmark: one pod at first, more where the load wants them.
  const scale = executor === 'poolmgr' ? {} : { MinScale: 0, MaxScale: 3 };
  const strategy = { ExecutionStrategy: { ExecutorType: executor, ...scale }, StrategyType: 'execution' };
  if (executor === 'container') {
    const podspec = {
      containers: [{ name: 'function', image: container, ports: [{ containerPort: 8888 }] }],
    };
    // The API wants the field, also where there is none.
    const environment = { namespace: NAMESPACE };
    const spec = { environment, InvokeStrategy: strategy, podspec };
    return [[RESOURCES.functions, { ...api('Function', name), spec }]];
  }
  const bytes = readFileSync(code);
  const environment = { name: environmentName, namespace: NAMESPACE };
  const deployment = {
    type: 'literal',
    literal: bytes.toString('base64'),
    checksum: { type: 'sha256', sum: createHash('sha256').update(bytes).digest('hex') },
  };
  const packageref = { name, namespace: NAMESPACE };
  return [
    [RESOURCES.packages, { ...api('Package', name), spec: { environment, deployment } }],
    [
      RESOURCES.functions,
      { ...api('Function', name), spec: { environment, package: { packageref }, InvokeStrategy: strategy } },
    ],
  ];
}
