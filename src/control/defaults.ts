import { API_VERSION, type Environment } from '../api/index.ts';
import { isAlreadyExists, isNotFound, type KubeClient, RESOURCES } from '../kube/index.ts';

/** What a standalone platform has from the start: the Environment `wasm` in namespace `default`. */
export async function ensureDefaults(client: KubeClient): Promise<void> {
  try {
    await client.get(RESOURCES.environments, 'default', 'wasm');
    return;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  const environment: Environment = {
    apiVersion: API_VERSION,
    kind: 'Environment',
    metadata: { namespace: 'default', name: 'wasm' },
    // The source says which language it is in: with a builder at hand, a folder of source is enough.
    spec: { version: 3, runtime: { image: 'wasm' }, builder: { image: 'wasm', command: 'build' } },
  };
  try {
    await client.create(RESOURCES.environments, environment);
  } catch (error) {
    // Somebody else was faster.
    if (!isAlreadyExists(error)) throw error;
  }
}
