import type { ObjectName } from '../api/index.ts';
import { isNotFound, type KubeClient, type KubeObject } from '../kube/index.ts';
import type { WatchedKind } from './watched.ts';

/**
 * An object from the cache, or from the API where the cache has none: kinds are watched apart, so what was made
 * just before the object that names it may not have come yet, and must not be reported as missing.
 */
export async function lookUp<T extends KubeObject>(
  client: KubeClient,
  kind: WatchedKind<T>,
  { namespace, name }: ObjectName,
): Promise<T | undefined> {
  if (name === '') return undefined;
  const cached = kind.get(namespace, name);
  if (cached !== undefined || !kind.covers(namespace)) return cached;
  try {
    return await client.get<T>(kind.type, namespace, name);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
