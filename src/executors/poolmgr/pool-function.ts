/** What the pods of a function are to be: everything that decides it, read once for each version. */
import type { FunctionOnCluster, StrategyVerdict } from '../strategy.ts';
import { isOwnRuntime, RUNTIME_ANNOTATION } from './own-images.ts';
import {
  digest,
  environmentStamp,
  mainContainerName,
  type PoolEnvironment,
  type ResourceClass,
  resourceClassOf,
} from './pool-objects.ts';
import type { SpecializeRequest } from '../../fetcher/contract.ts';
import { specialiseRequest } from './specialise-request.ts';

export interface PoolFunction {
  readonly fn: FunctionOnCluster;
  readonly environment: PoolEnvironment;
  /** Of its pods; changes when their code, or what it sees, is another. */
  readonly version: string;
  readonly container: string;
  /** Null where the environment's resources are its own. */
  readonly resourceClass: ResourceClass | null;
  /** What the fetcher is told. */
  readonly request: SpecializeRequest;
  /** Whether the runtime loads its code again by itself when it is started anew in its pod. */
  readonly recovers: boolean;
}

/**
 * @param versions change with what the secrets and config maps hold that the function names
 * @throws FissiumError RESOURCE_INVALID where the environment names a container that it has not
 */
export function planPoolFunction(
  fn: FunctionOnCluster,
  versions: readonly string[],
):
  | { readonly ok: true; readonly plan: PoolFunction }
  | { readonly ok: false; readonly verdict: StrategyVerdict } {
  const { environment, resolved } = fn;
  if (environment === null) throw new Error('a function of a pool has an environment');
  const own = isOwnRuntime(environment.object);
  if (resolved.env.length + resolved.envFrom.length > 0 && !own) {
    return refuse(
      'EnvironmentVariablesNotServed',
      `The function has environment variables (spec.env, spec.envFrom), which a pod that runs already takes only from a runtime of ours; image ${environment.resolved.image} is none. Use executor type newdeploy, an image fissium-python or fissium-node, or, where the image takes "env" in /v2/specialize as ours do, annotate the Environment with ${RUNTIME_ANNOTATION}=true.`,
    );
  }
  const resourceClass = resourceClassOf(environment.resolved.resources, resolved.resources);
  const request = specialiseRequest(fn);
  return {
    ok: true,
    plan: {
      fn,
      environment,
      version: versionOf(fn, environment, versions, resourceClass),
      container: mainContainerName(environment.resolved),
      resourceClass,
      request,
      recovers: own,
    },
  };
}

function versionOf(
  { object, resolved, pkg }: FunctionOnCluster,
  environment: PoolEnvironment,
  versions: readonly string[],
  resourceClass: ResourceClass | null,
): string {
  const { uid, entrypoint, entrypointOptional, secrets, configMaps, env, envFrom } = resolved;
  return digest([
    uid,
    environmentStamp(environment.object),
    [pkg?.metadata.uid, codeOf(pkg), object.spec.package?.packageref?.resourceversion],
    [entrypoint, entrypointOptional],
    [secrets, configMaps, env, envFrom, versions],
    resourceClass?.name,
  ]);
}

/** Literals are not kept in memory: then any change of the package counts. */
function codeOf(pkg: FunctionOnCluster['pkg']): unknown {
  const deployment = pkg?.spec.deployment;
  return deployment?.literal === undefined ? deployment : pkg?.metadata.generation;
}

function refuse(reason: string, message: string): { ok: false; verdict: StrategyVerdict } {
  return { ok: false, verdict: { ready: false, reason, message } };
}
