/** What the fetcher of a `newdeploy` pod is told at its start: Fission's FunctionSpecializeRequest. */
import { FETCH_TYPES, type SpecializeRequest } from '../../fetcher/contract.ts';
import type { FunctionOnCluster } from '../strategy.ts';

const SHARED_FOLDER = '/userfunc';

/** Where the code lies for the runtime; environments of version 1 know no other name. */
function fileName(envVersion: number): string {
  return envVersion >= 2 ? 'deployarchive' : 'user';
}

/**
 * With one field of ours: `archive`, the Package's `spec.deployment`, so that the fetcher needs no access to the
 * Kubernetes API. Secrets and config maps are volumes of the pod, and no business of the fetcher's.
 */
export function specialiseRequest({
  object,
  resolved,
  environment,
  pkg,
}: FunctionOnCluster): SpecializeRequest {
  const { version = 1, keepArchive = false } = environment?.resolved ?? {};
  const { namespace, name, uid, entrypoint, entrypointOptional } = resolved;
  return {
    FetchReq: {
      fetchType: FETCH_TYPES.deployment,
      package: {
        namespace: resolved.package?.namespace ?? namespace,
        name: resolved.package?.name ?? '',
        resourceVersion: object.spec.package?.packageref?.resourceversion ?? '',
      },
      archive: pkg?.spec.deployment ?? {},
      filename: fileName(version),
      secretList: [],
      configMapList: [],
      keeparchive: keepArchive,
    },
    LoadReq: {
      filepath: `${SHARED_FOLDER}/${fileName(version)}`,
      functionName: entrypoint,
      ...(entrypointOptional ? { functionNameOptional: true } : {}),
      url: '',
      FunctionMetadata: { name, namespace, uid },
      envVersion: version,
    },
  };
}

export { SHARED_FOLDER };
