/** What pods of a pool say of themselves: the whole state of the strategy, which a new leader finds there. */
import type { Environment, FissionFunction } from '../../api/index.ts';
import { environmentLabels, MANAGED_BY, PART_LABEL } from '../pods/labels.ts';

export const POOL_PART = 'pool';
/** Fission's: on pods that no function has taken yet; it goes when one does, so that the pool makes another. */
export const GENERIC_LABEL = 'managed';
/** Which resources its pods have: those of a class, for functions whose own cannot be given to a running pod. */
export const CLASS_LABEL = 'fissium.io/resources';
/** The class of pods with the environment's own resources. */
export const USUAL_CLASS = 'environment';
/** Of a pod that a function has taken: see {@link ENDPOINT_READY}; absent while it is specialised. */
export const ENDPOINT_ANNOTATION = 'fissium.io/endpoint';
/** Calls may go there. */
export const ENDPOINT_READY = 'ready';
/** No new calls; ended when idle. */
export const ENDPOINT_RETIRING = 'retiring';

/** The labels by which a pool's Deployment knows its pods; never to change. */
export function poolSelector(environment: Environment, resourceClass: string): Record<string, string> {
  return {
    ...environmentLabels(environment),
    executorType: 'poolmgr',
    [GENERIC_LABEL]: 'true',
    [PART_LABEL]: POOL_PART,
    [CLASS_LABEL]: resourceClass,
  };
}

/** The environment's own labels are there too, as in Fission, but never in the place of the platform's. */
export function poolLabels(environment: Environment, resourceClass: string): Record<string, string> {
  return { ...environment.metadata.labels, ...poolSelector(environment, resourceClass), ...MANAGED_BY };
}

/** Labels that a pod gets when a function takes it. */
export function functionLabelsOf({ metadata }: FissionFunction): Record<string, string | null> {
  const { namespace = 'default', name, uid = '' } = metadata;
  return {
    functionName: name,
    functionNamespace: namespace,
    functionUid: uid,
    [GENERIC_LABEL]: null,
  };
}
