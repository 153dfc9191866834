import type { ResolvedFunction } from '../../api/index.ts';
import type { DeploySpec } from '../ports.ts';
import { configOf, mountedFiles } from './mounts.ts';
import { type GrantSources, notFound, type ObjectMissing, variablesOf } from './variables.ts';

export type { GrantSources } from './variables.ts';

export type GrantsResult = { readonly ok: true; readonly grants: DeploySpec['grants'] } | ObjectMissing;

/**
 * What a function may use: exactly the environment variables, secrets and config maps that its spec names.
 */
export function resolveGrants(fn: ResolvedFunction, sources: GrantSources): GrantsResult {
  const missing = missingMount(fn, sources);
  if (missing !== null) return missing;

  const variables = variablesOf(fn, sources);
  if (!variables.ok) return variables;
  const mounted = mountedFiles(fn, sources);
  if (!mounted.ok) return mounted;
  const config = configOf(fn, sources);
  return {
    ok: true,
    grants: {
      env: variables.env,
      args: [],
      allowedOutboundHosts: fn.wasm.allowedOutboundHosts,
      ...(config.length === 0 ? {} : { config }),
      ...(mounted.files === null ? {} : { files: [mounted.files] }),
    },
  };
}

function missingMount(fn: ResolvedFunction, sources: GrantSources): GrantsResult | null {
  const secret = fn.secrets.find((name) => sources.secret(name) === undefined);
  if (secret !== undefined) return notFound('secret', secret);
  const configMap = fn.configMaps.find((name) => sources.configMap(name) === undefined);
  return configMap === undefined ? null : notFound('configMap', configMap);
}
