/**
 * What the fetchers of a namespace may read: exactly the packages, secrets and config maps that its functions name. One
 * account, which users' code never gets, with one Role for the pods of pools.
 */
import type { ResolvedFunction } from '../../api/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { isNotFound, RESOURCES } from '../../kube/index.ts';
import { fetcherKeys } from '../pods/auth-keys.ts';
import { MANAGED_BY } from '../pods/labels.ts';

export const FETCHER_ACCOUNT = 'fissium-fetcher';
const FIELD_MANAGER = 'fissium-poolmgr';
const RBAC_GROUP = 'rbac.authorization.k8s.io';

export interface AccessRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
  readonly verbs: readonly string[];
}
export type Role = KubeObject & { readonly rules?: readonly AccessRule[] | null };

/** Names of one namespace. */
export interface NamedObjects {
  readonly packages: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
  readonly configMaps: ReadonlySet<string>;
}

/** What a fetcher reads for a function. */
export function objectsOf(functions: Iterable<ResolvedFunction>): NamedObjects {
  const [packages, secrets, configMaps] = [new Set<string>(), new Set<string>(), new Set<string>()];
  for (const fn of functions) {
    if (fn.package !== null) packages.add(fn.package.name);
    for (const { name } of fn.secrets) secrets.add(name);
    for (const { name } of fn.configMaps) configMaps.add(name);
    for (const source of [...fn.env, ...fn.envFrom]) {
      if (source.from !== 'value') (source.from === 'secret' ? secrets : configMaps).add(source.object.name);
    }
  }
  return { packages, secrets, configMaps };
}

export function fetcherRole(namespace: string, { packages, secrets, configMaps }: NamedObjects): Role {
  return {
    metadata: { namespace, name: FETCHER_ACCOUNT, labels: { ...MANAGED_BY } },
    rules: [
      ...ruleFor('fission.io', 'packages', packages),
      ...ruleFor('', 'secrets', secrets),
      ...ruleFor('', 'configmaps', configMaps),
    ],
  };
}

/** No names would be all of them: then there is no rule. */
function ruleFor(apiGroup: string, resource: string, names: ReadonlySet<string>): AccessRule[] {
  if (names.size === 0) return [];
  return [
    { apiGroups: [apiGroup], resources: [resource], resourceNames: [...names].toSorted(), verbs: ['get'] },
  ];
}

/** The names in a Role that {@link fetcherRole} made. */
export function objectsIn(role: Role): NamedObjects {
  const of = (resource: string): Set<string> =>
    new Set(
      (role.rules ?? [])
        .filter(({ resources }) => resources.includes(resource))
        .flatMap((rule) => rule.resourceNames),
    );
  return { packages: of('packages'), secrets: of('secrets'), configMaps: of('configmaps') };
}

export function fetcherAccount(namespace: string): KubeObject & { automountServiceAccountToken: boolean } {
  return {
    metadata: { namespace, name: FETCHER_ACCOUNT, labels: { ...MANAGED_BY } },
    automountServiceAccountToken: false,
  };
}

export function fetcherBinding(namespace: string): KubeObject & { roleRef: object; subjects: object[] } {
  return {
    metadata: { namespace, name: FETCHER_ACCOUNT, labels: { ...MANAGED_BY } },
    roleRef: { apiGroup: RBAC_GROUP, kind: 'Role', name: FETCHER_ACCOUNT },
    subjects: [{ kind: 'ServiceAccount', name: FETCHER_ACCOUNT, namespace }],
  };
}

/**
 * Keeps the Roles. Names are added before a pod needs them and taken away by {@link FetcherAccess.prune} alone, since a
 * controller that has just become the leader does not know all functions yet.
 */
export class FetcherAccess {
  readonly #client: KubeClient;
  /** By namespace, what its Role grants; undefined before it was read. */
  readonly #granted = new Map<string, NamedObjects>();
  /** Writes of a namespace, one after another. */
  readonly #writing = new Map<string, Promise<void>>();

  readonly #authSecret: string | null;

  /** @param authSecret of Fission's internal authentication; null where it is off */
  constructor(client: KubeClient, authSecret: string | null) {
    this.#client = client;
    this.#authSecret = authSecret;
  }

  /** Resolves when the fetchers of the function's namespace may read what it names. */
  async grant(fn: ResolvedFunction): Promise<void> {
    await this.#serially(fn.namespace, async () => {
      const granted = this.#granted.get(fn.namespace) ?? (await this.#begin(fn.namespace));
      const wanted = union(granted, objectsOf([fn]));
      if (!same(granted, wanted)) await this.#write(fn.namespace, wanted);
    });
  }

  /** Has the account, and whatever else pods of the namespace cannot start without. */
  async ensure(namespace: string): Promise<void> {
    await this.#serially(namespace, async () => {
      if (!this.#granted.has(namespace)) await this.#begin(namespace);
    });
  }

  /** Leaves a namespace's fetchers only what these functions, all of its own, name. */
  async prune(namespace: string, functions: Iterable<ResolvedFunction>): Promise<void> {
    const wanted = objectsOf(functions);
    await this.#serially(namespace, async () => {
      // Written whether it differs or not: somebody may have deleted it.
      if (this.#granted.has(namespace)) await this.#begin(namespace);
      await this.#write(namespace, wanted);
    });
  }

  /** Where anything was granted. */
  namespaces(): string[] {
    return [...this.#granted.keys()];
  }

  /** The namespace is gone. */
  forget(namespace: string): void {
    this.#granted.delete(namespace);
  }

  async #begin(namespace: string): Promise<NamedObjects> {
    const options = { fieldManager: FIELD_MANAGER };
    await this.#client.apply(RESOURCES.serviceaccounts, fetcherAccount(namespace), options);
    if (this.#authSecret !== null) {
      await this.#client.apply(RESOURCES.secrets, fetcherKeys(namespace, this.#authSecret), options);
    }
    let granted = objectsOf([]);
    try {
      granted = objectsIn(await this.#client.get<Role>(RESOURCES.roles, namespace, FETCHER_ACCOUNT));
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.#client.apply(RESOURCES.roles, fetcherRole(namespace, granted), options);
    }
    await this.#client.apply(RESOURCES.rolebindings, fetcherBinding(namespace), options);
    this.#granted.set(namespace, granted);
    return granted;
  }

  async #write(namespace: string, wanted: NamedObjects): Promise<void> {
    await this.#client.apply(RESOURCES.roles, fetcherRole(namespace, wanted), {
      fieldManager: FIELD_MANAGER,
    });
    this.#granted.set(namespace, wanted);
  }

  async #serially(namespace: string, write: () => Promise<void>): Promise<void> {
    const next = (this.#writing.get(namespace) ?? Promise.resolve()).catch(() => undefined).then(write);
    this.#writing.set(namespace, next);
    try {
      await next;
    } finally {
      if (this.#writing.get(namespace) === next) this.#writing.delete(namespace);
    }
  }
}

function union(first: NamedObjects, second: NamedObjects): NamedObjects {
  return {
    packages: first.packages.union(second.packages),
    secrets: first.secrets.union(second.secrets),
    configMaps: first.configMaps.union(second.configMaps),
  };
}

function same(first: NamedObjects, second: NamedObjects): boolean {
  const isSame = (one: ReadonlySet<string>, other: ReadonlySet<string>): boolean =>
    one.size === other.size && one.isSubsetOf(other);
  return (
    isSame(first.packages, second.packages) &&
    isSame(first.secrets, second.secrets) &&
    isSame(first.configMaps, second.configMaps)
  );
}
