/** The caches of everything that the reconcilers look at: one watch a kind, however many objects there are. */
import type { Logger } from 'pino';

import {
  type Environment,
  type FissionFunction,
  type HttpTrigger,
  interned,
  type KubernetesWatchTrigger,
  type MessageQueueTrigger,
  type Package,
  type ResolvedFunction,
  type TimeTrigger,
} from '../api/index.ts';
import {
  type ConfigMap,
  type InformerHandler,
  Informers,
  type InformerOptions,
  type KubeClient,
  type KubeMetadata,
  type KubeObject,
  objectKey,
  RESOURCES,
  type ResourceType,
  type Secret,
} from '../kube/index.ts';
import { slimPackage, viewOf } from './package/slim.ts';
import { functionOf, triggerOf } from './resolutions.ts';

export interface Watched {
  readonly environments: WatchedKind<Environment>;
  /** Without literal archives. Indexes: `environment`, `archive` (digest). */
  readonly packages: WatchedKind<Package>;
  /** Indexes: `environment`, `package`, `secret`, `configMap`. */
  readonly functions: WatchedKind<FissionFunction>;
  /** Indexes: `function`. */
  readonly triggers: WatchedKind<HttpTrigger>;
  readonly timeTriggers: WatchedKind<TimeTrigger>;
  readonly queueTriggers: WatchedKind<MessageQueueTrigger>;
  readonly watchTriggers: WatchedKind<KubernetesWatchTrigger>;
  readonly secrets: WatchedKind<Secret>;
  readonly configMaps: WatchedKind<ConfigMap>;
}

export type KindOptions<T extends KubeObject> = Omit<InformerOptions<T>, 'client' | 'logger' | 'namespace'>;

/** What is known of one kind; may be behind the server. Do not change the objects. */
export interface WatchedKind<T extends KubeObject> {
  readonly type: ResourceType;
  /** Whether this namespace is watched at all. */
  covers(namespace: string): boolean;
  get(namespace: string, name: string): T | undefined;
  getByKey(key: string): T | undefined;
  byIndex(index: string, key: string): T[];
  keys(): string[];
  onChange(handler: InformerHandler<T>): void;
  start(): void;
  /** Resolves when all that was there at the start is known. */
  synced(): Promise<void>;
  close(): Promise<void>;
}

/** One kind in all namespaces, or in those that are named. */
export class InformedKind<T extends KubeObject> extends Informers<T> implements WatchedKind<T> {
  readonly type: ResourceType;

  /** @param namespaces undefined for all */
  constructor(
    options: KindOptions<T> & { client: KubeClient; logger: Logger },
    namespaces: readonly string[] | undefined,
  ) {
    super({ ...options, namespaces: namespaces ?? [] });
    this.type = options.type;
  }
}

/** Packages come with their literals: a page of 500 could have 175 MB. */
const PACKAGE_PAGE_SIZE = 50;

/** How each kind is kept in memory, whoever watches it. */
export const ENVIRONMENTS: KindOptions<Environment> = { type: RESOURCES.environments, transform: trimmed };
export const PACKAGES: KindOptions<Package> = {
  type: RESOURCES.packages,
  pageSize: PACKAGE_PAGE_SIZE,
  transform: (pkg) => slimPackage(trimmed(pkg)),
  indexes: {
    environment: (pkg) => {
      const view = viewOf(pkg);
      return view.ok ? [keyFor(view.value.environment)] : [];
    },
    archive: (pkg) => {
      const view = viewOf(pkg);
      return view.ok ? view.value.archiveDigests : [];
    },
  },
};
export const FUNCTIONS: KindOptions<FissionFunction> = {
  type: RESOURCES.functions,
  transform: trimmed,
  indexes: {
    environment: (fn) => {
      const resolved = functionOf(fn);
      return resolved.ok ? [keyFor(resolved.value.environment)] : [];
    },
    package: (fn) => {
      const resolved = functionOf(fn);
      return resolved.ok && resolved.value.package !== null ? [keyFor(resolved.value.package)] : [];
    },
    secret: (fn) => {
      const resolved = functionOf(fn);
      return resolved.ok ? referencedKeys(resolved.value, 'secret') : [];
    },
    configMap: (fn) => {
      const resolved = functionOf(fn);
      return resolved.ok ? referencedKeys(resolved.value, 'configMap') : [];
    },
  },
};
export const TRIGGERS: KindOptions<HttpTrigger> = {
  type: RESOURCES.httptriggers,
  transform: trimmed,
  indexes: {
    function: (trigger) => {
      const resolved = triggerOf(trigger);
      if (!resolved.ok) return [];
      const { namespace, functions } = resolved.value;
      return functions.map(({ name }) => objectKey(namespace, name));
    },
  },
};
export const SECRETS: KindOptions<Secret> = { type: RESOURCES.secrets, transform: usableSecret };
export const CONFIG_MAPS: KindOptions<ConfigMap> = { type: RESOURCES.configmaps, transform: trimmed };

export function watchEverything(
  client: KubeClient,
  logger: Logger,
  namespaces: readonly string[] | undefined,
): Watched {
  const kind = <T extends KubeObject>(options: KindOptions<T>): WatchedKind<T> =>
    new InformedKind<T>({ ...options, client, logger }, namespaces);
  return {
    environments: kind(ENVIRONMENTS),
    packages: kind(PACKAGES),
    functions: kind(FUNCTIONS),
    triggers: kind(TRIGGERS),
    timeTriggers: kind<TimeTrigger>({ type: RESOURCES.timetriggers, transform: trimmed }),
    queueTriggers: kind<MessageQueueTrigger>({
      type: RESOURCES.messagequeuetriggers,
      transform: trimmed,
    }),
    watchTriggers: kind<KubernetesWatchTrigger>({
      type: RESOURCES.kuberneteswatchtriggers,
      transform: trimmed,
    }),
    secrets: kind(SECRETS),
    configMaps: kind(CONFIG_MAPS),
  };
}

export function allKinds(watched: Watched): WatchedKind<never>[] {
  return Object.values(watched) as WatchedKind<never>[];
}

function keyFor({ namespace, name }: { namespace: string; name: string }): string {
  return objectKey(namespace, name);
}

/** Keys of the secrets, or the config maps, that a function names in any way. */
export function referencedKeys(fn: ResolvedFunction, kind: 'secret' | 'configMap'): string[] {
  const { secrets, configMaps, env, envFrom } = fn;
  const keys = new Set((kind === 'secret' ? secrets : configMaps).map(keyFor));
  for (const variable of env) if (variable.from === kind) keys.add(keyFor(variable.object));
  for (const source of envFrom) if (source.from === kind) keys.add(keyFor(source.object));
  return [...keys];
}

/** Field owners are half of many objects, and nobody here reads them; conditions say the same of thousands. */
function trimmed<T extends KubeObject & { status?: { conditions?: readonly object[] } }>(object: T): T {
  const metadata: KubeMetadata & { managedFields?: unknown } = { ...object.metadata };
  delete metadata.managedFields;
  const conditions = object.status?.conditions;
  if (!Array.isArray(conditions)) return { ...object, metadata };
  return { ...object, metadata, status: { ...object.status, conditions: conditions.map(interned) } };
}

/** Without the releases that Helm keeps in secrets, up to 1 MiB each. */
function usableSecret(secret: Secret): Secret {
  const slim = trimmed(secret);
  return slim.type?.startsWith('helm.sh/') === true ? { ...slim, data: {} } : slim;
}
