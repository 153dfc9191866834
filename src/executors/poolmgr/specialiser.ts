/** Makes a generic pod one of a function: taken, relabelled, given its resources and its code, announced to routers. */
import { setTimeout as delay } from 'node:timers/promises';

import type { Logger } from 'pino';

import { isConflict, isNotFound, type KubeClient, keyOf, RESOURCES } from '../../kube/index.ts';
import { VERSION_ANNOTATION } from '../pods/labels.ts';
import { type FetcherClient, SpecialiseFailure } from './fetcher-client.ts';
import type { Pool } from './pool.ts';
import type { PoolFunction } from './pool-function.ts';
import { ENDPOINT_ANNOTATION, ENDPOINT_READY, ENDPOINT_RETIRING, functionLabelsOf } from './pool-labels.ts';
import { ownedBy } from '../pods/labels.ts';
import { type PoolPod, stageOf } from './pool-pod.ts';
import type { PodView } from './pod-view.ts';
import type { Resizing } from './resizing.ts';

export interface SpecialiserOptions {
  readonly client: KubeClient;
  readonly view: PodView;
  readonly fetcher: FetcherClient;
  readonly resizing: Resizing;
  readonly logger: Logger;
  /** The pool whose pods the function takes now; made where there is none yet. */
  readonly poolFor: (fn: PoolFunction) => Pool;
}

/** Pods that may turn out to be gone before one is given up. */
const PODS_TRIED = 4;
const WRITES_TRIED = 3;
const WRITE_PAUSE_MS = 200;
/** A pod that nobody has called yet need not wait for calls to end. */
const UNUSED_GRACE_S = 1;

export class Specialiser {
  readonly #options: SpecialiserOptions;

  constructor(options: SpecialiserOptions) {
    this.#options = options;
  }

  /**
   * Resolves with a pod to which calls may go. A pod on which it fails is deleted.
   * @throws SpecialiseFailure, or the signal's reason, with which nothing more is written
   */
  async specialise(fn: PoolFunction, signal: AbortSignal): Promise<PoolPod> {
    const { startTimeoutMs } = fn.fn.resolved;
    const deadline = performance.now() + startTimeoutMs;
    for (let tried = 1; ; tried += 1) {
      const pool = this.#options.poolFor(fn);
      const pod = await this.#claim(fn, pool, deadline, signal);
      try {
        await this.#load(fn, pool, pod, Math.max(1, Math.ceil(deadline - performance.now())), signal);
        return await this.#annotate(pod, ENDPOINT_READY);
      } catch (error) {
        signal.throwIfAborted();
        await this.discard(pod);
        if (tried < PODS_TRIED && error instanceof SpecialiseFailure && error.kind === 'gone') continue;
        throw error;
      }
    }
  }

  /** Has routers send no more calls there. Resolves with undefined where the pod is gone. */
  async retire(pod: PoolPod): Promise<PoolPod | undefined> {
    try {
      return await this.#annotate(pod, ENDPOINT_RETIRING);
    } catch (error) {
      if (error instanceof SpecialiseFailure) return undefined;
      throw error;
    }
  }

  /** @param graceSeconds for its calls to end; null for the pod's own @default that of pods without calls */
  async discard(pod: PoolPod, graceSeconds: number | null = UNUSED_GRACE_S): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    try {
      await this.#options.client.remove(RESOURCES.pods, namespace, name, {
        ...(uid === undefined ? {} : { uid }),
        ...(graceSeconds === null ? {} : { gracePeriodSeconds: graceSeconds }),
      });
    } catch (error) {
      if (isNotFound(error) || isConflict(error)) return this.#options.view.remove(pod);
      this.#options.logger.warn({ err: error, pod: keyOf(pod) }, 'a pod could not be deleted');
    }
  }

  async #claim(fn: PoolFunction, pool: Pool, deadline: number, signal: AbortSignal): Promise<PoolPod> {
    for (;;) {
      const pod = await this.#wait(pool, deadline, signal);
      const claimed = await this.#relabel(fn, pod).catch((error: unknown) => {
        pool.release(pod);
        throw error;
      });
      if (claimed !== undefined) return claimed;
      pool.release(pod);
    }
  }

  async #wait(pool: Pool, deadline: number, signal: AbortSignal): Promise<PoolPod> {
    const timeoutMs = Math.max(1, Math.ceil(deadline - performance.now()));
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      return await pool.take(AbortSignal.any([signal, timeout]));
    } catch (error) {
      signal.throwIfAborted();
      if (!timeout.aborted) throw error;
      const trouble = pool.trouble();
      throw new SpecialiseFailure(
        'refused',
        trouble?.reason ?? 'NoGenericPod',
        `No generic pod of environment ${pool.environment.resolved.name} became ready in time (SpecializationTimeout). ${trouble?.message ?? `See \`kubectl -n ${pool.namespace} describe deployment ${pool.name}\` and its pods.`}`,
      );
    }
  }

  /** Undefined where the pod is somebody else's by now, or gone. */
  async #relabel({ fn, environment, version }: PoolFunction, pod: PoolPod): Promise<PoolPod | undefined> {
    const { client, view } = this.#options;
    const { namespace = 'default', name, resourceVersion } = pod.metadata;
    const patch = {
      metadata: {
        // Of two leaders, or where the pool's Deployment ends it meanwhile, one write fails.
        resourceVersion,
        labels: functionLabelsOf(fn.object),
        annotations: { [VERSION_ANNOTATION]: version, [ENDPOINT_ANNOTATION]: null },
        ownerReferences: [ownedBy(environment.object)],
      },
    };
    try {
      const claimed = await client.patchMerge<PoolPod>(RESOURCES.pods, namespace, name, patch);
      view.put(claimed);
      return claimed;
    } catch (error) {
      if (isNotFound(error)) view.remove(pod);
      else if (isConflict(error)) await this.#refresh(pod);
      else throw error;
      return undefined;
    }
  }

  async #refresh(pod: PoolPod): Promise<void> {
    const { namespace, name } = pod.metadata;
    try {
      this.#options.view.put(await this.#options.client.get<PoolPod>(RESOURCES.pods, namespace, name));
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#options.view.remove(pod);
    }
  }

  async #load(
    fn: PoolFunction,
    pool: Pool,
    pod: PoolPod,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { resizing, fetcher } = this.#options;
    const { namespace = 'default' } = pod.metadata;
    const ip = pod.status?.podIP ?? '';
    if (fn.resourceClass !== null && fn.resourceClass.name !== pool.resourceClass) {
      const resized = await resizing.resize(pod, fn.container, fn.resourceClass);
      if ('refusal' in resized) {
        resizing.giveUp(fn.environment.object.metadata.uid ?? '', fn.resourceClass);
        throw new SpecialiseFailure('gone', 'ResizeRefused', resized.refusal);
      }
    }
    try {
      await fetcher.specialise({ ip, namespace }, fn.request, { timeoutMs, signal });
    } catch (error) {
      // A pod that its pool's Deployment chose to end at the same moment says nothing about the code.
      const key = keyOf(pod);
      const now = this.#options.view.get(key);
      const isGone = now === undefined || stageOf(now) === 'ending';
      if (!isGone || signal.aborted) throw error;
      throw new SpecialiseFailure(
        'gone',
        'PodGone',
        `Pod ${key} was deleted while it was specialised.`,
        error,
      );
    }
  }

  /** Tried again where the API server does not answer: the pod has been made what it is to be. */
  async #annotate(pod: PoolPod, endpoint: string): Promise<PoolPod> {
    const { client, view } = this.#options;
    const { namespace = 'default', name } = pod.metadata;
    const patch = { metadata: { annotations: { [ENDPOINT_ANNOTATION]: endpoint } } };
    for (let tried = 1; ; tried += 1) {
      try {
        const written = await client.patchMerge<PoolPod>(RESOURCES.pods, namespace, name, patch);
        view.put(written);
        return written;
      } catch (error) {
        if (isNotFound(error)) {
          view.remove(pod);
          throw new SpecialiseFailure('gone', 'PodGone', `Pod ${keyOf(pod)} was deleted.`, error);
        }
        if (tried === WRITES_TRIED) throw error;
        await delay(WRITE_PAUSE_MS * tried);
      }
    }
  }
}
