import { FETCH_TYPES, type SpecializeRequest } from '../../fetcher/contract.ts';
import type { FunctionOnCluster } from '../strategy.ts';
import { CODE_FOLDER } from './pool-objects.ts';

/** Where the code lies for the runtime; environments of version 1 know no other name. */
function fileName(environmentVersion: number): string {
  return environmentVersion >= 2 ? 'deployarchive' : 'user';
}

/**
 * What the fetcher of a pod is told to make of it: Fission's FunctionSpecializeRequest, and the fields of ours. The values
 * of variables are read by the fetcher, so that no secret travels here.
 */
export function specialiseRequest({ object, resolved, environment }: FunctionOnCluster): SpecializeRequest {
  const { version = 1, keepArchive = false } = environment?.resolved ?? {};
  const { namespace, name, uid, generation, entrypoint, entrypointOptional } = resolved;
  const { env, envFrom, package: code } = object.spec;
  const resourceVersion = code?.packageref?.resourceversion ?? '';
  const filename = fileName(version);
  return {
    FetchReq: {
      fetchType: FETCH_TYPES.deployment,
      package: {
        namespace: resolved.package?.namespace ?? namespace,
        name: resolved.package?.name ?? '',
        ...(resourceVersion === '' ? {} : { resourceVersion }),
      },
      filename,
      secretList: referencesOf(namespace, object.spec.secrets),
      configMapList: referencesOf(namespace, object.spec.configmaps),
      keeparchive: keepArchive,
      ...((env ?? []).length === 0 ? {} : { env: env ?? [] }),
      ...((envFrom ?? []).length === 0 ? {} : { envFrom: envFrom ?? [] }),
    },
    LoadReq: {
      filepath: `${CODE_FOLDER}/${filename}`,
      functionName: entrypoint,
      ...(entrypointOptional ? { functionNameOptional: true } : {}),
      url: '',
      FunctionMetadata: { name, namespace, uid, generation },
      envVersion: version,
    },
  };
}

function referencesOf(
  namespace: string,
  list: readonly { name: string; mountPath?: string }[] | null | undefined,
): { namespace: string; name: string; mountPath?: string }[] {
  return (list ?? []).map(({ name, mountPath = '' }) => ({
    namespace,
    name,
    ...(mountPath === '' ? {} : { mountPath }),
  }));
}
