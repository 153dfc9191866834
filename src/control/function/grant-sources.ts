import type { ResolvedFunction } from '../../api/index.ts';
import { type ConfigMap, objectKey, type Secret, splitKey } from '../../kube/index.ts';
import type { ReconcilerContext } from '../context.ts';
import { lookUp } from '../look-up.ts';
import { referencedKeys } from '../watched.ts';
import type { GrantSources } from './grants.ts';

/** The secrets and config maps that a function names, as they are now. */
export async function grantSourcesFor(
  { client, watched }: Pick<ReconcilerContext, 'client' | 'watched'>,
  fn: ResolvedFunction,
): Promise<GrantSources> {
  const secrets = new Map<string, Secret>();
  const configMaps = new Map<string, ConfigMap>();
  for (const key of referencedKeys(fn, 'secret')) {
    const secret = await lookUp(client, watched.secrets, splitKey(key));
    if (secret !== undefined) secrets.set(key, secret);
  }
  for (const key of referencedKeys(fn, 'configMap')) {
    const configMap = await lookUp(client, watched.configMaps, splitKey(key));
    if (configMap !== undefined) configMaps.set(key, configMap);
  }
  return {
    secret: ({ namespace, name }) => secrets.get(objectKey(namespace, name)),
    configMap: ({ namespace, name }) => configMaps.get(objectKey(namespace, name)),
  };
}
