/** Labels of what is made for functions: Fission's, by which its users and CLI find pods, and ours. */
import {
  API_VERSION,
  type Environment,
  type FissionFunction,
  type ResolvedFunction,
} from '../../api/index.ts';
import type { OwnerReference } from '../../kube/index.ts';

/** On everything that the platform makes. */
export const MANAGED_BY: Readonly<Record<string, string>> = { 'app.kubernetes.io/managed-by': 'fissium' };

/** What of the platform an object is: `wasm-host`, `pool`, `function` or `builder`. */
export const PART_LABEL = 'fissium.io/part';
/** Which pods are as their environment wants them now. */
export const TEMPLATE_ANNOTATION = 'fissium.io/template';
/** What of a function a pod runs; changes when another pod is needed for it. */
export const VERSION_ANNOTATION = 'fissium.io/version';

type Strategy = ResolvedFunction['strategy'];

/** By which a Deployment knows its pods: never to change while the function lives. */
export function functionSelector(uid: string, strategy: Strategy): Record<string, string> {
  return { functionUid: uid, executorType: strategy };
}

/**
 * All labels of a function's own objects and pods. Those of the environment and of the function are there too, as in
 * Fission, but never in the place of the platform's.
 */
export function functionLabels(
  fn: FissionFunction,
  environment: Environment | null,
  strategy: Strategy,
): Record<string, string> {
  const { namespace = 'default', name, uid = '' } = fn.metadata;
  return {
    ...environment?.metadata.labels,
    ...fn.metadata.labels,
    ...(environment === null ? {} : environmentLabels(environment)),
    functionName: name,
    functionNamespace: namespace,
    ...functionSelector(uid, strategy),
    ...MANAGED_BY,
    [PART_LABEL]: 'function',
  };
}

export function environmentLabels({ metadata }: Environment): Record<string, string> {
  const { namespace = 'default', name, uid = '' } = metadata;
  return { environmentName: name, environmentNamespace: namespace, environmentUid: uid };
}

/** What an environment owns goes with it. */
export function ownedBy({ metadata }: Environment): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: 'Environment',
    name: metadata.name,
    uid: metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: false,
  };
}
