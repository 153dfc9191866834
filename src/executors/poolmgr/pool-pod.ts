/** A pod of a pool, and what it is by its labels and annotations. */
import type { KubeMetadata } from '../../kube/index.ts';
import { isReady, type Pod } from '../deployments/pod-troubles.ts';
import { VERSION_ANNOTATION } from '../pods/labels.ts';
import {
  CLASS_LABEL,
  ENDPOINT_ANNOTATION,
  ENDPOINT_READY,
  ENDPOINT_RETIRING,
  GENERIC_LABEL,
  USUAL_CLASS,
} from './pool-labels.ts';
import { TEMPLATE_ANNOTATION } from '../pods/labels.ts';

export type PoolPod = Pod & { readonly status?: { readonly podIP?: string } };

/**
 * - `generic`: of no function yet
 * - `claimed`: taken by a function, being specialised
 * - `serving`: calls may go there
 * - `retiring`: ends when idle
 * - `ending`: deleted, or at its end
 */
export type PodStage = 'generic' | 'claimed' | 'serving' | 'retiring' | 'ending';

export function stageOf(pod: PoolPod): PodStage {
  const { phase } = pod.status ?? {};
  const { deletionTimestamp, labels = {}, annotations = {} } = pod.metadata;
  if (deletionTimestamp !== undefined || phase === 'Failed' || phase === 'Succeeded') return 'ending';
  if (labels[GENERIC_LABEL] === 'true') return 'generic';
  switch (annotations[ENDPOINT_ANNOTATION]) {
    case ENDPOINT_READY:
      return 'serving';
    case ENDPOINT_RETIRING:
      return 'retiring';
    default:
      return 'claimed';
  }
}

/** Whether a function can take it: of the wanted template, ready, with an address. */
export function isTakeable(pod: PoolPod, template: string): boolean {
  return (
    stageOf(pod) === 'generic' &&
    pod.metadata.annotations?.[TEMPLATE_ANNOTATION] === template &&
    (pod.status?.podIP ?? '') !== '' &&
    isReady(pod)
  );
}

export function versionOf(pod: PoolPod): string | undefined {
  return pod.metadata.annotations?.[VERSION_ANNOTATION];
}

export function functionUidOf({ metadata }: { metadata: KubeMetadata }): string {
  return metadata.labels?.['functionUid'] ?? '';
}

/** The pool that a pod came from: its environment's uid, and the class of its resources. */
export function poolKeyOf({ metadata }: { metadata: KubeMetadata }): string {
  return poolKey(metadata.labels?.['environmentUid'] ?? '', metadata.labels?.[CLASS_LABEL] ?? USUAL_CLASS);
}

export function poolKey(environmentUid: string, resourceClass: string): string {
  return `${environmentUid}/${resourceClass}`;
}

/** How often the runtime was started again since the pod began. */
export function restartsOf(pod: PoolPod): number {
  const containers = pod.status?.containerStatuses ?? [];
  return containers.reduce(
    (sum, { name, restartCount = 0 }) => sum + (name === 'fetcher' ? 0 : restartCount),
    0,
  );
}
