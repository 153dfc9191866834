/** The short form `spec.route`: an HTTPTrigger of the function's name that the function owns. */
import { isDeepStrictEqual } from 'node:util';

import {
  API_VERSION,
  type FissionFunction,
  type HttpTrigger,
  type ResolvedFunction,
} from '../../api/index.ts';

/** What is to be done to the trigger that has the function's name. */
export type TriggerPlan =
  | { readonly kind: 'none' }
  | { readonly kind: 'create'; readonly trigger: HttpTrigger }
  | { readonly kind: 'update'; readonly spec: Record<string, unknown> }
  | { readonly kind: 'remove' }
  /** A trigger of that name is somebody else's. */
  | { readonly kind: 'taken'; readonly message: string };

export function planOwnedTrigger(
  fn: FissionFunction,
  { namespace, name, route }: ResolvedFunction,
  existing: HttpTrigger | undefined,
): TriggerPlan {
  const isOurs =
    existing?.metadata.ownerReferences?.some(
      (owner) => owner.controller === true && owner.uid === fn.metadata.uid,
    ) ?? false;
  if (route === null) return isOurs ? { kind: 'remove' } : { kind: 'none' };
  const spec = {
    relativeurl: route.url,
    methods: [...route.methods] as NonNullable<HttpTrigger['spec']['methods']>,
    functionref: { type: 'name' as const, name },
  };
  if (existing === undefined) return { kind: 'create', trigger: build(fn, namespace, name, spec) };
  if (!isOurs) {
    return {
      kind: 'taken',
      message: `spec.route needs an HTTPTrigger named ${namespace}/${name}, but there is one that the function does not own. Delete or rename that one, or remove spec.route.`,
    };
  }
  const { relativeurl, methods, functionref, ...others } = existing.spec;
  const leftovers = Object.keys(others);
  if (leftovers.length === 0 && isDeepStrictEqual({ relativeurl, methods, functionref }, spec))
    return { kind: 'none' };
  return {
    kind: 'update',
    spec: { ...Object.fromEntries(leftovers.map((field) => [field, null])), ...spec },
  };
}

function build(fn: FissionFunction, namespace: string, name: string, spec: HttpTrigger['spec']): HttpTrigger {
  return {
    apiVersion: API_VERSION,
    kind: 'HTTPTrigger',
    metadata: {
      namespace,
      name,
      ownerReferences: [
        { apiVersion: API_VERSION, kind: 'Function', name, uid: fn.metadata.uid ?? '', controller: true },
      ],
    },
    spec,
  };
}
