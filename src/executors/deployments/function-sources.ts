/** The secrets and config maps that a function's pods need. */
import type { ObjectName, ResolvedFunction } from '../../api/index.ts';
import { isNotFound, type KubeClient, objectKey, RESOURCES } from '../../kube/index.ts';
import type { StrategyVerdict } from '../strategy.ts';

interface Source extends ObjectName {
  readonly from: 'secret' | 'configMap';
  readonly optional: boolean;
}

export type Sources =
  | { readonly ok: true; /** Change with what the objects hold. */ readonly versions: readonly string[] }
  | { readonly ok: false; readonly verdict: StrategyVerdict };

/** The objects' versions, so that pods are replaced when one changes: a variable never changes in a pod that runs. */
export async function readSources(client: KubeClient, fn: ResolvedFunction): Promise<Sources> {
  const versions: string[] = [];
  for (const source of sourcesOf(fn)) {
    const version = await versionOf(client, source);
    if (version === undefined && !source.optional) return { ok: false, verdict: missing(source) };
    versions.push(`${source.from} ${objectKey(source.namespace, source.name)} ${version ?? ''}`);
  }
  return { ok: true, versions };
}

function sourcesOf({ secrets, configMaps, env, envFrom }: ResolvedFunction): Source[] {
  const sources = new Map<string, Source>();
  const add = (from: Source['from'], { namespace, name }: ObjectName, optional: boolean): void => {
    const key = `${from} ${namespace}/${name}`;
    sources.set(key, { from, namespace, name, optional: optional && (sources.get(key)?.optional ?? true) });
  };
  for (const mount of secrets) add('secret', mount, false);
  for (const mount of configMaps) add('configMap', mount, false);
  for (const variable of env) {
    if (variable.from !== 'value') add(variable.from, variable.object, variable.optional);
  }
  for (const { from, object, optional } of envFrom) add(from, object, optional);
  return [...sources.values()];
}

async function versionOf(client: KubeClient, { from, namespace, name }: Source): Promise<string | undefined> {
  const type = from === 'secret' ? RESOURCES.secrets : RESOURCES.configmaps;
  try {
    const { metadata } = await client.get(type, namespace, name);
    return `${metadata.uid ?? ''} ${metadata.resourceVersion ?? ''}`;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function missing({ from, namespace, name }: Source): StrategyVerdict {
  const [reason, what] =
    from === 'secret' ? ['SecretNotFound', 'Secret'] : ['ConfigMapNotFound', 'ConfigMap'];
  return {
    ready: false,
    reason,
    message: `The function names ${what} ${namespace}/${name}, which does not exist. Create it; the function follows by itself.`,
  };
}
