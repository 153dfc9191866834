/** The builders' Deployments, and their pods as they are. */
import type { Logger } from 'pino';

import type { Environment } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import { FIELD_MANAGER, ObjectKeeper } from '../../executors/deployments/object-keeper.ts';
import { isReady, type Pod, type Trouble, troubleOf } from '../../executors/deployments/pod-troubles.ts';
import { PART_LABEL, TEMPLATE_ANNOTATION } from '../../executors/pods/labels.ts';
import {
  Informers,
  isNotFound,
  type KubeClient,
  type KubeObject,
  RESOURCES,
  type ResourceType,
} from '../../kube/index.ts';
import {
  BUILDER_PART,
  type BuilderDeployment,
  builderDeployment,
  builderKeys,
  builderName,
  ENVIRONMENT_UID_LABEL,
} from './builder-objects.ts';

export type BuilderPod = Pod & { readonly status?: { readonly podIP?: string } };

export interface BuilderPodsOptions {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Empty: all. */
  readonly namespaces: readonly string[];
  /** The platform's own. */
  readonly image: string;
  /** Of Fission's internal authentication; null where it is off. */
  readonly authSecret: string | null;
  /** How long a builder may take to become ready. @default 5 minutes */
  readonly startTimeoutMs?: number;
  /** How long a trouble that may pass (an image, a full node) is waited out. @default 10 seconds */
  readonly patienceMs?: number;
}

const START_TIMEOUT_MS = 5 * 60_000;
const PATIENCE_MS = 10_000;
/** The kubelet's word about a pod that ended comes a little after its end. */
const WHY_WAIT_MS = 3_000;
const BY_ENVIRONMENT = 'environment';

export class BuilderPods {
  readonly #options: BuilderPodsOptions;
  readonly #keeper: ObjectKeeper;
  readonly #deployments: Informers<BuilderDeployment>;
  readonly #pods: Informers<BuilderPod>;

  constructor(options: BuilderPodsOptions) {
    this.#options = options;
    this.#keeper = new ObjectKeeper(options.client);
    this.#deployments = this.#watch<BuilderDeployment>(RESOURCES.deployments);
    this.#pods = this.#watch<BuilderPod>(RESOURCES.pods);
  }

  async synced(): Promise<void> {
    await Promise.all([this.#deployments.synced(), this.#pods.synced()]);
  }

  async close(): Promise<void> {
    await Promise.all([this.#deployments.close(), this.#pods.close()]);
  }

  /**
   * Has the builder as the environment wants it.
   * @returns what its pods are made from
   * @throws ApiError where the API server refuses; FissiumError RESOURCE_INVALID
   */
  async ensure(environment: Environment): Promise<string> {
    const { client, image, authSecret } = this.#options;
    const wanted = builderDeployment(environment, { image, authSecret });
    const { namespace = 'default', name, annotations } = wanted.metadata;
    if (authSecret !== null) {
      const options = { fieldManager: FIELD_MANAGER };
      await client.apply(RESOURCES.secrets, builderKeys(namespace, authSecret), options);
    }
    await this.#keeper.ensure(RESOURCES.deployments, wanted, this.#deployment(namespace, name));
    return annotations?.[TEMPLATE_ANNOTATION] ?? '';
  }

  /** The environment has no builder any more. */
  async remove(environment: Environment): Promise<void> {
    const { namespace = 'default' } = environment.metadata;
    const name = builderName(environment);
    if (this.#deployment(namespace, name) === undefined) return;
    this.#keeper.forget(RESOURCES.deployments, namespace, name);
    await this.#options.client.remove(RESOURCES.deployments, namespace, name).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }

  /**
   * The environment's builder, when it is ready.
   * @param template of its pods, from {@link BuilderPods.ensure}
   * @throws FissiumError BUILDER_UNREACHABLE with what keeps it from starting
   */
  async ready(
    environment: Environment,
    template: string,
    signal: AbortSignal,
  ): Promise<BuilderPod & { ip: string }> {
    const { startTimeoutMs = START_TIMEOUT_MS, patienceMs = PATIENCE_MS } = this.#options;
    const startMs = performance.now();
    let isWanted = false;
    for (;;) {
      signal.throwIfAborted();
      const wanted = this.#deployment(environment.metadata.namespace ?? 'default', builderName(environment));
      const now = wanted?.metadata.annotations?.[TEMPLATE_ANNOTATION];
      // No pod of it will ever come; the watch may have been behind before.
      if (isWanted && now !== template) {
        throw new FissiumError('BUILDER_UNREACHABLE', 'The builder is another one now, which is waited for.');
      }
      isWanted ||= now === template;
      const pods = this.#podsOf(environment, template);
      const pod = pods.find((one) => isReady(one) && (one.status?.podIP ?? '') !== '');
      if (pod !== undefined) return { ...pod, ip: pod.status?.podIP ?? '' };
      const waitedMs = performance.now() - startMs;
      const trouble = this.#troubleOf(environment, pods);
      // A pod that somebody has waited for already is no new one.
      const isLasting = Math.max(waitedMs, ...pods.map(ageMs)) >= patienceMs;
      if (trouble !== undefined && isLasting) {
        throw new FissiumError('BUILDER_UNREACHABLE', `The builder does not start. ${trouble}`);
      }
      if (waitedMs >= startTimeoutMs) {
        throw new FissiumError(
          'BUILDER_UNREACHABLE',
          `The builder was not ready within ${startTimeoutMs / 1000} s. ${trouble ?? `Look at the Deployment ${builderName(environment)}.`}`,
        );
      }
      const untilMs = trouble === undefined ? startTimeoutMs : Math.min(patienceMs, startTimeoutMs);
      await this.#changed(untilMs - waitedMs, signal);
    }
  }

  /** Why a pod that did not answer does not. '' where nothing is known. */
  async whyGone(before: BuilderPod, signal: AbortSignal): Promise<string> {
    const { metadata } = before;
    const startMs = performance.now();
    for (;;) {
      const now = this.#pods.get(metadata.namespace ?? 'default', metadata.name);
      if (now === undefined || now.metadata.deletionTimestamp !== undefined) {
        return `Its pod ${metadata.name} was deleted.`;
      }
      const trouble = endedSince(before, now) ?? troubleOf(now);
      if (trouble !== undefined) return messageOf(trouble);
      const leftMs = WHY_WAIT_MS - (performance.now() - startMs);
      if (leftMs <= 0) return '';
      await this.#changed(leftMs, signal);
    }
  }

  #troubleOf(environment: Environment, pods: readonly BuilderPod[]): string | undefined {
    for (const pod of pods) {
      const trouble = troubleOf(pod);
      if (trouble !== undefined) return messageOf(trouble);
    }
    if (pods.length > 0) return undefined;
    const { namespace = 'default' } = environment.metadata;
    const { conditions = [] } = this.#deployment(namespace, builderName(environment))?.status ?? {};
    const refused = conditions.find(({ type, status }) => type === 'ReplicaFailure' && status === 'True');
    return refused && `Its pod is refused: ${refused.message ?? 'no reason is given'}`;
  }

  #podsOf({ metadata }: Environment, template: string): BuilderPod[] {
    return this.#pods
      .byIndex(BY_ENVIRONMENT, metadata.uid ?? '')
      .filter(
        ({ metadata: { annotations, deletionTimestamp } }) =>
          annotations?.[TEMPLATE_ANNOTATION] === template && deletionTimestamp === undefined,
      );
  }

  #deployment(namespace: string, name: string): BuilderDeployment | undefined {
    return this.#deployments.get(namespace, name);
  }

  /** Resolves when something of a builder changed, or the time is over; rejects with what the signal was aborted with. */
  async #changed(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.max(1, Math.ceil(timeoutMs)));
    const onAbort = (): void => resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    let told = false;
    const tell = (): void => {
      if (told) resolve();
    };
    const handler = { add: tell, update: tell, delete: tell };
    const undo = [this.#pods.onChange(handler), this.#deployments.onChange(handler)];
    // What was there already is told at once, and no change.
    told = true;
    await promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    for (const each of undo) each();
    signal.throwIfAborted();
  }

  #watch<T extends KubeObject>(type: ResourceType): Informers<T> {
    const { client, logger, namespaces } = this.#options;
    return new Informers<T>({
      client,
      logger,
      namespaces,
      type,
      labelSelector: `${PART_LABEL}=${BUILDER_PART}`,
      indexes: { [BY_ENVIRONMENT]: ({ metadata }: T) => [metadata.labels?.[ENVIRONMENT_UID_LABEL] ?? ''] },
    }).start();
  }
}

/** By the clock of the API server and ours; 0 where it is not known. */
function ageMs({ metadata }: BuilderPod): number {
  return Date.now() - Date.parse(String(metadata.creationTimestamp ?? '')) || 0;
}

/** How a container ended that runs again already, since the pod was as `before`. */
function endedSince(before: BuilderPod, now: BuilderPod): Trouble | undefined {
  const restarts = new Map(
    before.status?.containerStatuses?.map(({ name, restartCount = 0 }) => [name, restartCount]),
  );
  const ended = now.status?.containerStatuses?.find(
    ({ name, restartCount = 0 }) => restartCount > (restarts.get(name) ?? 0),
  );
  if (ended === undefined) return undefined;
  return troubleOf({ metadata: now.metadata, status: { containerStatuses: [{ ...ended, ready: false }] } });
}

/** In words for builders: theirs is not where functions' resources are. */
function messageOf({ message }: Trouble): string {
  return message.replace('spec.resources.', 'spec.builder.container.resources.');
}
