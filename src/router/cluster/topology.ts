/** Where functions run now: groups of endpoints, kept by watches of EndpointSlices and of specialised pods. */
import type { Logger } from 'pino';

import { Informers, type KubeClient, type KubeObject, RESOURCES } from '../../kube/index.ts';
import { EndpointGroup, type GroupOptions } from './endpoint-group.ts';
import { type EndpointSlice, type ReadyAddress, SliceWatch } from './endpoint-slices.ts';

interface Pod extends KubeObject {
  status?: { podIP?: string };
}

export interface TopologyOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Empty for all. */
  readonly namespaces: readonly string[];
}

/** Port of runtimes in container pods: Fission's. */
const RUNTIME_PORT = 8888;

/** The group of an environment's Wasm hosts for the functions of a namespace. */
export function hostsGroup(environment: { namespace: string; name: string }, namespace: string): string {
  return `hosts ${environment.namespace}/${environment.name} ${namespace}`;
}

/** The group of a function's own pods. */
export function functionGroup(uid: string): string {
  return `function ${uid}`;
}

export class Topology {
  readonly #groups = new Map<string, EndpointGroup>();
  readonly #slices: SliceWatch;
  readonly #pods: Informers<Pod>;

  constructor({ client, logger, namespaces }: TopologyOptions) {
    this.#slices = new SliceWatch({
      client,
      logger,
      namespaces,
      labelSelector: 'app.kubernetes.io/managed-by=fissium',
      groupOf: groupOfSlice,
      onChange: (group, ready) => this.#setReady(group, ready),
    });
    this.#pods = new Informers<Pod>({
      client,
      logger,
      namespaces,
      type: RESOURCES.pods,
      labelSelector: 'executorType=poolmgr,functionUid',
    });
    this.#pods.onChange({
      add: (pod) => this.#setPod(pod),
      update: (pod) => this.#setPod(pod),
      delete: (pod) => this.#dropPod(pod),
    });
  }

  /** The group of that name, with these options if it is made now. */
  group(name: string, options: GroupOptions): EndpointGroup {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = new EndpointGroup(options);
      this.#groups.set(name, group);
    }
    return group;
  }

  groups(): Iterable<EndpointGroup> {
    return this.#groups.values();
  }

  start(): void {
    for (const watch of this.#watches()) watch.start();
  }

  async synced(): Promise<void> {
    await Promise.all(this.#watches().map((watch) => watch.synced()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#watches().map((watch) => watch.close()));
    for (const group of this.#groups.values()) group.clear();
  }

  #watches(): (SliceWatch | Informers<Pod>)[] {
    return [this.#slices, this.#pods];
  }

  #setReady(name: string, ready: readonly ReadyAddress[]): void {
    const choice = name.startsWith('hosts ') ? 'affinity' : 'least';
    const group = this.group(name, { choice });
    const keys = new Set(ready.map(({ key }) => key));
    for (const { key } of group.endpoints()) if (!keys.has(key)) group.delete(key);
    for (const { key, origin } of ready) group.set(key, origin);
  }

  #setPod(pod: Pod): void {
    const { namespace = '', name, labels, annotations, deletionTimestamp } = pod.metadata;
    const ip = pod.status?.podIP;
    const isReady = annotations?.['fissium.io/endpoint'] === 'ready' && deletionTimestamp === undefined;
    if (!isReady || ip === undefined || ip === '') {
      this.#dropPod(pod);
      return;
    }
    const host = ip.includes(':') ? `[${ip}]` : ip;
    const group = this.group(functionGroup(labels?.['functionUid'] ?? ''), { choice: 'least' });
    group.set(`${namespace}/${name}`, `http://${host}:${RUNTIME_PORT}`);
  }

  #dropPod({ metadata: { namespace = '', name, labels } }: Pod): void {
    this.#groups.get(functionGroup(labels?.['functionUid'] ?? ''))?.retire(`${namespace}/${name}`);
  }
}

/** Slices have the labels of their Service. */
function groupOfSlice({ metadata: { namespace = '', labels = {} } }: EndpointSlice): string | null {
  const { environmentNamespace = '', environmentName = '', functionUid = '' } = labels;
  switch (labels['fissium.io/part']) {
    case 'wasm-host':
      return hostsGroup({ namespace: environmentNamespace, name: environmentName }, namespace);
    case 'function':
      return functionGroup(functionUid);
    default:
      return null;
  }
}
