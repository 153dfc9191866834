import { createHash } from 'node:crypto';

import { keyOf, type KubeClient, type KubeObject, type ResourceType } from '../../kube/index.ts';

/** Owns what the platform wants of its objects. */
export const FIELD_MANAGER = 'fissium';

interface Remembered {
  readonly wanted: string;
  readonly found: string;
}

/**
 * Has objects hold what is wanted, by server-side apply: fields that others own (replicas by the HPA, what admission
 * adds) stay theirs, and what others changed of ours is put right. An object that is as it was after the last apply is
 * not applied again.
 */
export class ObjectKeeper {
  readonly #client: KubeClient;
  readonly #remembered = new Map<string, Remembered>();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /**
   * @param live as the cache has it
   * @returns the object as it is now
   * @throws ApiError where the API server refuses
   */
  async ensure<T extends KubeObject>(type: ResourceType, wanted: T, live: T | undefined): Promise<T> {
    const key = `${type.plural} ${keyOf(wanted)}`;
    const digest = digestOf(wanted);
    const known = this.#remembered.get(key);
    if (live !== undefined && known?.wanted === digest && known.found === digestOfLive(live)) return live;
    const now = await this.#client.apply<T>(type, wanted, { fieldManager: FIELD_MANAGER });
    this.#remembered.set(key, { wanted: digest, found: digestOfLive(now) });
    return now;
  }

  forget(type: ResourceType, namespace: string, name: string): void {
    this.#remembered.delete(`${type.plural} ${keyOf({ metadata: { namespace, name } })}`);
  }
}

/** Of what we could have to put right: not the status, nor what the server counts. */
function digestOfLive(live: KubeObject): string {
  const { uid, labels, ownerReferences } = live.metadata;
  const { spec } = live as KubeObject & { spec?: unknown };
  return digestOf({ uid, labels, ownerReferences, spec });
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64');
}
