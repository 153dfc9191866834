/**
 * A small API server with what the pool manager needs of a cluster behind it: Deployments get pods, and each pod's
 * fetcher is a real HTTP server at an address of its own (127.0.0.0/8), which tells what it was asked.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { pino } from 'pino';

import {
  type Environment,
  type FissionFunction,
  type Package,
  resolveEnvironment,
  resolveFunction,
} from '../../../api/index.ts';
import { Informer, type KubeClient, keyOf, type KubeObject, RESOURCES } from '../../../kube/index.ts';
import { eventually } from '../../../kube/testing/eventually.ts';
import { SmallApi } from '../../../kube/testing/small-api.ts';
import type { EndpointLoadReport, FunctionLoadReport, Loads } from '../../loads.ts';
import type { FunctionOnCluster } from '../../strategy.ts';
import type { PoolDeployment } from '../pool-objects.ts';
import type { PoolPod } from '../pool-pod.ts';

export const silent = pino({ level: 'silent' });

/** What a fetcher was asked. */
export interface Specialised {
  readonly ip: string;
  readonly body: { FetchReq: Record<string, unknown>; LoadReq: Record<string, unknown> };
}

/** Loads that a test sets. */
export class TestLoads implements Loads {
  completeAtMs: number | null = null;
  readonly endpoints = new Map<string, EndpointLoadReport>();
  readonly byUid = new Map<string, FunctionLoadReport>();

  functionOf(uid: string): FunctionLoadReport | undefined {
    return this.byUid.get(uid);
  }

  endpointOf(pod: string): EndpointLoadReport | undefined {
    return this.endpoints.get(pod);
  }

  functions(): Iterable<FunctionLoadReport> {
    return this.byUid.values();
  }
}

export class SmallCluster {
  readonly api: SmallApi;
  readonly client: KubeClient;
  readonly specialised: Specialised[] = [];
  /** Whether new pods become ready; else they have this status. */
  podStatus: PoolPod['status'] | undefined;
  /** How fetchers answer. */
  answer: (what: Specialised, response: ServerResponse) => void = (_, response) => {
    response.end();
  };
  /** Whether the API server has `pods/resize`. */
  resizes = false;
  readonly #fetchers: Server;
  readonly #deployments: Informer<PoolDeployment>;
  readonly #pods: Informer<PoolPod>;
  #nextPod = 1;
  #working: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(api: SmallApi) {
    this.api = api;
    this.client = api.client();
    api.intercept = ({ path }) =>
      path === '/api/v1'
        ? {
            status: 200,
            body: { resources: this.resizes ? [{ name: 'pods' }, { name: 'pods/resize' }] : [] },
          }
        : undefined;
    this.#fetchers = createServer((request, response) => {
      this.#fetch(request, response).catch(() => response.destroy());
    });
    const informer = <T extends KubeObject>(type: (typeof RESOURCES)['pods' | 'deployments']) =>
      new Informer<T>({ client: this.client, type, logger: silent, backoffBaseMs: 5, backoffCapMs: 20 });
    this.#deployments = informer<PoolDeployment>(RESOURCES.deployments);
    this.#pods = informer<PoolPod>(RESOURCES.pods);
    const again = (): void => this.#soon();
    this.#deployments.onChange({ add: again, update: again, delete: again });
    this.#pods.onChange({ add: again, update: again, delete: again });
  }

  static async start(): Promise<SmallCluster> {
    const cluster = new SmallCluster(await SmallApi.start());
    cluster.#fetchers.listen(0, '0.0.0.0');
    await once(cluster.#fetchers, 'listening');
    cluster.#deployments.start();
    cluster.#pods.start();
    await Promise.all([cluster.#deployments.synced(), cluster.#pods.synced()]);
    return cluster;
  }

  get fetcherPort(): number {
    return (this.#fetchers.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#working;
    await Promise.all([this.#deployments.close(), this.#pods.close()]);
    this.#fetchers.closeAllConnections();
    this.#fetchers.close();
    this.client.close();
    await this.api.close();
  }

  async pods(): Promise<PoolPod[]> {
    return (await this.client.list<PoolPod>(RESOURCES.pods, undefined)).items;
  }

  /** Pods that a function has, by what their endpoint annotation says. */
  async podsOf(uid: string, endpoint: string): Promise<PoolPod[]> {
    return (await this.pods()).filter(
      ({ metadata }) =>
        metadata.labels?.['functionUid'] === uid &&
        metadata.annotations?.['fissium.io/endpoint'] === endpoint,
    );
  }

  async generic(): Promise<PoolPod[]> {
    return (await this.pods()).filter(({ metadata }) => metadata.labels?.['managed'] === 'true');
  }

  async eventually(what: string, check: () => Promise<boolean> | boolean): Promise<void> {
    await eventually(what, check, 4000);
  }

  /** Has a pod as if the kubelet said so. */
  async setStatus(pod: PoolPod, status: object): Promise<void> {
    const { namespace, name } = pod.metadata;
    await this.client.patchStatus(RESOURCES.pods, namespace, name, { status });
  }

  #soon(): void {
    this.#working = this.#working
      .then(() => (this.#isClosed ? undefined : this.#reconcile()))
      .catch((error: unknown) => {
        if (!this.#isClosed) throw error;
      });
  }

  /** What the Deployment's controller and the kubelet do. */
  async #reconcile(): Promise<void> {
    for (const deployment of this.#deployments.store.values()) {
      const { replicas = 1, selector, template } = deployment.spec;
      const labels = selector.matchLabels ?? {};
      const { items } = await this.client.list<PoolPod>(RESOURCES.pods, deployment.metadata.namespace);
      const own = items.filter((pod) =>
        Object.entries(labels).every(([name, value]) => pod.metadata.labels?.[name] === value),
      );
      const current = own.filter(
        ({ metadata }) =>
          metadata.annotations?.['fissium.io/template'] ===
          template.metadata?.annotations?.['fissium.io/template'],
      );
      const gone = [...own.filter((pod) => !current.includes(pod)), ...current.slice(replicas)];
      for (const pod of gone)
        await this.client.remove(RESOURCES.pods, pod.metadata.namespace, pod.metadata.name);
      for (let i = current.length; i < replicas; i += 1) await this.#createPod(deployment);
    }
  }

  async #createPod({ metadata, spec: { template } }: PoolDeployment): Promise<void> {
    const number = this.#nextPod++;
    const ready = {
      phase: 'Running',
      podIP: `127.1.${Math.floor(number / 250)}.${(number % 250) + 1}`,
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [{ name: 'python', restartCount: 0, ready: true }],
    };
    await this.client.create(RESOURCES.pods, {
      metadata: {
        namespace: metadata.namespace ?? 'default',
        name: `${metadata.name}-${number}`,
        labels: template.metadata?.labels ?? {},
        annotations: template.metadata?.annotations ?? {},
      },
      spec: template.spec,
      status: this.podStatus ?? ready,
    } as KubeObject);
  }

  async #fetch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const ip = request.socket.localAddress ?? '';
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Specialised['body'];
    this.specialised.push({ ip, body });
    this.answer({ ip, body }, response);
  }
}

export function environmentOf(
  spec: Partial<Environment['spec']> = {},
  metadata: Partial<Environment['metadata']> = {},
): NonNullable<FunctionOnCluster['environment']> {
  const object: Environment = {
    apiVersion: 'fission.io/v1',
    kind: 'Environment',
    metadata: {
      namespace: 'default',
      name: 'python',
      uid: 'aaaaaaaa-0000-0000-0000-0000000000e1',
      resourceVersion: '1',
      ...metadata,
    },
    spec: { version: 3, runtime: { image: 'localhost/fissium-python:dev' }, poolsize: 3, ...spec },
  };
  return { object, resolved: resolveEnvironment(object) };
}

export interface FunctionParts {
  readonly name?: string;
  readonly spec?: Partial<FissionFunction['spec']>;
  readonly environment?: FunctionOnCluster['environment'];
  /** Of the package: another is another version of the code. */
  readonly code?: string;
}

export function functionOn({
  name = 'hello',
  spec = {},
  environment,
  code = 'a',
}: FunctionParts = {}): FunctionOnCluster {
  const object: FissionFunction = {
    apiVersion: 'fission.io/v1',
    kind: 'Function',
    metadata: { namespace: 'default', name, uid: `uid-of-${name}`, generation: 1 },
    spec: {
      environment: { name: 'python' },
      package: { packageref: { name: `${name}-pkg` }, functionName: 'main.main' },
      ...spec,
    },
  };
  const pkg: Package = {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { namespace: 'default', name: `${name}-pkg`, uid: `uid-of-${name}-pkg`, generation: 1 },
    spec: { environment: { name: 'python' }, deployment: { type: 'url', url: `http://storage/${code}` } },
  };
  return { object, resolved: resolveFunction(object), environment: environment ?? environmentOf(), pkg };
}

export { keyOf };
