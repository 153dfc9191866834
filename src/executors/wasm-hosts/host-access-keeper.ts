import type { FissionFunction, ObjectName } from '../../api/index.ts';
import {
  type KubeClient,
  type KubeObject,
  RESOURCES,
  type ResourceType,
  splitKey,
} from '../../kube/index.ts';
import { FIELD_MANAGER } from '../deployments/object-keeper.ts';
import type { AuthSecrets } from '../../auth/request-signer.ts';
import { fetcherKeys, hostKeysSecret } from '../pods/auth-keys.ts';
import {
  environmentBinding,
  environmentRole,
  hostBinding,
  hostRole,
  hostServiceAccount,
  type NamedByFunctions,
} from './host-access.ts';

export interface HostAccessOptions {
  readonly client: KubeClient;
  /** All functions of a namespace. */
  readonly functionsOf: (namespace: string) => Iterable<FissionFunction>;
  /** Keys (`namespace/name`) of what a function names. */
  readonly named: (fn: FissionFunction, kind: 'secret' | 'configMap') => readonly string[];
  /** Of Fission's internal authentication. @default it is off */
  readonly auth?: AuthSecrets;
}

/** Keeps what hosts of each namespace may read to what functions there name. */
export class HostAccess {
  readonly #options: HostAccessOptions;
  /** What was applied last, by object. */
  readonly #applied = new Map<string, string>();

  constructor(options: HostAccessOptions) {
    this.#options = options;
  }

  /** Before hosts start, or a function names something new. */
  async ensure(namespace: string, environment: ObjectName): Promise<void> {
    const { serviceaccounts, roles, rolebindings } = RESOURCES;
    await this.ensureKeys(namespace);
    const keys = hostKeysSecret(namespace, this.#auth);
    if (keys !== null) await this.#apply(RESOURCES.secrets, keys);
    await this.#apply(serviceaccounts, hostServiceAccount(namespace));
    await this.#apply(roles, hostRole(namespace, this.#named(namespace)));
    await this.#apply(rolebindings, hostBinding(namespace));
    if (environment.namespace === namespace) return;
    await this.#apply(roles, environmentRole(environment, namespace));
    await this.#apply(rolebindings, environmentBinding(environment, namespace));
  }

  /** The namespace's keys, by which its pods get archives; before any of them starts. */
  async ensureKeys(namespace: string): Promise<void> {
    const { current } = this.#auth;
    if (current !== null) await this.#apply(RESOURCES.secrets, fetcherKeys(namespace, current));
  }

  get #auth(): AuthSecrets {
    return this.#options.auth ?? { current: null, previous: null };
  }

  #named(namespace: string): NamedByFunctions {
    const { functionsOf, named } = this.#options;
    const secrets = new Set<string>();
    const configMaps = new Set<string>();
    const add = (names: Set<string>, keys: readonly string[]): void => {
      for (const key of keys) {
        const object = splitKey(key);
        if (object.namespace === namespace) names.add(object.name);
      }
    };
    for (const fn of functionsOf(namespace)) {
      add(secrets, named(fn, 'secret'));
      add(configMaps, named(fn, 'configMap'));
    }
    return { secrets: [...secrets], configMaps: [...configMaps] };
  }

  async #apply(type: ResourceType, object: KubeObject): Promise<void> {
    const key = `${type.plural} ${object.metadata.namespace}/${object.metadata.name}`;
    const wanted = JSON.stringify(object);
    if (this.#applied.get(key) === wanted) return;
    await this.#options.client.apply(type, object, { fieldManager: FIELD_MANAGER });
    this.#applied.set(key, wanted);
  }
}
