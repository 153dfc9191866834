import type { Logger } from 'pino';

import { Informers, type KubeClient, keyOf, RESOURCES } from '../../kube/index.ts';
import { PART_LABEL } from '../pods/labels.ts';
import { POOL_PART } from './pool-labels.ts';
import { functionUidOf, poolKeyOf, type PoolPod } from './pool-pod.ts';

export interface PodViewOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Empty for all. */
  readonly namespaces: readonly string[];
}

/** Uids of pods that are gone, remembered lest an answer that comes late brings one back. */
const REMEMBERED = 2000;

/**
 * All pods of pools, as the watch and the answers to our own writes show them: whichever is newer. Nothing here waits for
 * the watch to catch up with what this process has just written.
 */
export class PodView {
  readonly #informers: Informers<PoolPod>;
  readonly #pods = new Map<string, PoolPod>();
  readonly #byFunction = new Map<string, Set<string>>();
  readonly #byPool = new Map<string, Set<string>>();
  readonly #gone = new Set<string>();
  readonly #onChange: (pod: PoolPod) => void;

  /** @param onChange called with each pod that came, changed or went */
  constructor({ client, logger, namespaces }: PodViewOptions, onChange: (pod: PoolPod) => void) {
    this.#onChange = onChange;
    this.#informers = new Informers<PoolPod>({
      client,
      logger,
      namespaces,
      type: RESOURCES.pods,
      labelSelector: `${PART_LABEL}=${POOL_PART}`,
      keep: ({ metadata }) => metadata.labels?.[PART_LABEL] === POOL_PART,
      transform: slim,
    });
    this.#informers.onChange({
      add: (pod) => this.put(pod),
      update: (pod) => this.put(pod),
      delete: (pod) => this.remove(pod),
    });
  }

  start(): void {
    this.#informers.start();
  }

  synced(): Promise<void> {
    return this.#informers.synced();
  }

  close(): Promise<void> {
    return this.#informers.close();
  }

  get(key: string): PoolPod | undefined {
    return this.#pods.get(key);
  }

  all(): IterableIterator<PoolPod> {
    return this.#pods.values();
  }

  ofFunction(uid: string): PoolPod[] {
    return this.#found(this.#byFunction.get(uid));
  }

  /** All pods that came from a pool, those of functions as well. */
  ofPool(poolKey: string): PoolPod[] {
    return this.#found(this.#byPool.get(poolKey));
  }

  /** Takes a pod as the API gave it out, unless a newer one is known. */
  put(raw: PoolPod): void {
    const pod = slim(raw);
    const key = keyOf(pod);
    const known = this.#pods.get(key);
    if (this.#gone.has(pod.metadata.uid ?? '')) return;
    if (
      known !== undefined &&
      known.metadata.uid === pod.metadata.uid &&
      versionNumber(pod) < versionNumber(known)
    ) {
      return;
    }
    if (known !== undefined) this.#unindex(key, known);
    this.#pods.set(key, pod);
    index(this.#byFunction, functionUidOf(pod), key);
    index(this.#byPool, poolKeyOf(pod), key);
    this.#onChange(pod);
  }

  /** The pod is gone. */
  remove(pod: PoolPod): void {
    const key = keyOf(pod);
    const known = this.#pods.get(key);
    this.#remember(pod.metadata.uid ?? '');
    if (known === undefined || known.metadata.uid !== pod.metadata.uid) return;
    this.#unindex(key, known);
    this.#pods.delete(key);
    this.#onChange(known);
  }

  #found(keys: ReadonlySet<string> | undefined): PoolPod[] {
    return [...(keys ?? [])].flatMap((key) => this.#pods.get(key) ?? []);
  }

  #unindex(key: string, pod: PoolPod): void {
    unindex(this.#byFunction, functionUidOf(pod), key);
    unindex(this.#byPool, poolKeyOf(pod), key);
  }

  #remember(uid: string): void {
    this.#gone.add(uid);
    if (this.#gone.size <= REMEMBERED) return;
    const oldest = this.#gone.values().next();
    if (oldest.done !== true) this.#gone.delete(oldest.value);
  }
}

function index(map: Map<string, Set<string>>, name: string, key: string): void {
  const keys = map.get(name);
  if (keys === undefined) map.set(name, new Set([key]));
  else keys.add(key);
}

function unindex(map: Map<string, Set<string>>, name: string, key: string): void {
  const keys = map.get(name);
  keys?.delete(key);
  if (keys?.size === 0) map.delete(name);
}

/** Resource versions of one kind can be compared as numbers (KEP-5504). */
function versionNumber({ metadata }: PoolPod): number {
  return Number(metadata.resourceVersion ?? 0);
}

/** What a pod is made of is most of it, and known from its pool. */
function slim(pod: PoolPod): PoolPod {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels, annotations } =
    pod.metadata;
  const nodeName = pod.spec?.nodeName;
  return {
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      labels: labels ?? {},
      annotations: annotations ?? {},
    },
    ...(nodeName === undefined ? {} : { spec: { nodeName } }),
    status: pod.status ?? {},
  };
}
