/** Makes a cluster's resources what a specification says. */
import { isDeepStrictEqual } from 'node:util';
import type { Condition, Package } from '../../api/index.ts';
import { isConflict, type KubeObject } from '../../kube/index.ts';
import { APP_TYPES, RESOURCES, type Cluster, type ResourceType } from '../cluster.ts';
import type { CommandContext } from '../command.ts';
import { CliError } from '../errors.ts';
import type { ArchiveSpec } from '../archive.ts';
import { waitReady } from '../wait.ts';
import { resolveArchives } from './archives.ts';
import type { DeploymentConfig, SpecObject, SpecSet } from './load.ts';
import { ARCHIVE_SCHEME, NAME_ANNOTATION, UID_ANNOTATION } from './names.ts';
import { validateSpecs } from './validate.ts';

export interface ApplyOptions {
  /** Delete what an earlier apply of this specification made and it no longer names. */
  readonly delete: boolean;
  readonly dryRun: boolean;
  /** Check against the schemas before anything is sent. */
  readonly validate: boolean;
  /** Also change what was not made by this specification. */
  readonly allowConflicts: boolean;
  /** Put everything into the CLI's namespace, whatever the files say. */
  readonly forceNamespace: boolean;
  /** Value of a label `commit`. */
  readonly commit: string | undefined;
  /** `no`: return at once. `show`: wait and warn of what is not ready. `require`: fail then. */
  readonly wait: 'no' | 'show' | 'require';
  readonly waitTimeoutMs: number;
}

/** So often an object is read again that somebody else changed meanwhile. */
const ATTEMPTS = 5;

type Change = 'created' | 'updated' | 'unchanged';

interface Applied {
  readonly type: ResourceType;
  readonly object: StoredObject;
  readonly change: Change;
}

type StoredObject = KubeObject & {
  readonly spec: Record<string, unknown>;
  readonly status?: { conditions?: Condition[] };
};

/** Applies the specification once and prints what has changed. */
export async function applySpecs(
  context: CommandContext,
  cluster: Cluster,
  set: SpecSet,
  options: ApplyOptions,
): Promise<void> {
  if (options.validate) await check(context, cluster, set);
  const packages = await cluster.list<Package>(RESOURCES.packages, null);
  const archives = await resolveArchives(context, set, packages, options.dryRun);

  const applied: Applied[] = [];
  for (const type of APP_TYPES) {
    for (const item of set.objects.filter(({ kind }) => kind === type.kind)) {
      applied.push(await applyOne(cluster, type, item, set.config, archives, applied, options));
    }
  }
  const deleted = options.delete ? await deleteOthers(cluster, set.config, applied, options.dryRun) : [];
  report(context, applied, deleted, options.dryRun);
  if (options.wait !== 'no' && !options.dryRun) await waitForAll(context, cluster, applied, options);
}

async function check({ out }: CommandContext, cluster: Cluster, set: SpecSet): Promise<void> {
  const { errors, warnings, dangling } = validateSpecs(set);
  if (errors.length > 0) {
    throw new CliError('the specification is not valid', {
      why: errors.join('\n'),
      fix: 'nothing was applied',
    });
  }
  for (const warning of warnings) out.warn(warning);
  for (const { kind, namespace, name, from } of dangling) {
    const type = APP_TYPES.find((known) => known.kind === kind);
    if (type === undefined || (await cluster.find(type, name, namespace ?? cluster.namespace)) !== undefined)
      continue;
    out.warn(`${from} refers to ${kind} "${name}", which is neither in the specification nor in the cluster`);
  }
}

async function applyOne(
  cluster: Cluster,
  type: ResourceType,
  item: SpecObject,
  config: DeploymentConfig | undefined,
  archives: ReadonlyMap<string, ArchiveSpec>,
  applied: readonly Applied[],
  options: ApplyOptions,
): Promise<Applied> {
  const { dryRun } = options;
  const write = { fieldValidation: 'Strict', dryRun } as const;
  const namespace = options.forceNamespace
    ? cluster.namespace
    : (item.object.metadata.namespace ?? cluster.namespace);
  for (let attempt = 1; ; attempt++) {
    const existing = await cluster.find<StoredObject>(type, item.name, namespace);
    refuseOthers(item, existing, config, options);
    const desired = desiredObject(item, namespace, config, archives, options);
    if (type === RESOURCES.functions) keepPackageVersion(desired, existing, applied);
    try {
      if (existing === undefined)
        return { type, object: await cluster.client.create(type, desired, write), change: 'created' };
      const object = await cluster.client.replace(type, merged(desired, existing), write);
      return { type, object, change: isSame(object, existing) ? 'unchanged' : 'updated' };
    } catch (error) {
      // The platform wrote its status in between, most of the time.
      if (isConflict(error) && attempt < ATTEMPTS) continue;
      throw await explained(item, error);
    }
  }
}

async function explained(item: SpecObject, error: unknown): Promise<CliError> {
  const { explain } = await import('../explain.ts');
  const { message, why, fix, exitCode } = explain(error);
  return new CliError(`${item.location}: ${message}`, {
    ...(why === undefined ? {} : { why }),
    ...(fix === undefined ? {} : { fix }),
    exitCode,
    cause: error,
  });
}

/** A resource that this specification did not make is not touched, as Fission has it. */
function refuseOthers(
  item: SpecObject,
  existing: StoredObject | undefined,
  config: DeploymentConfig | undefined,
  { allowConflicts }: ApplyOptions,
): void {
  if (existing === undefined || allowConflicts) return;
  const owner = existing.metadata.annotations?.[UID_ANNOTATION];
  // Plain YAML without a DeploymentConfig changes what is nobody's, as kubectl does.
  if (owner === config?.uid) return;
  throw new CliError(
    `${item.location}: ${item.kind} "${item.name}" exists and was not made by this specification`,
    {
      why:
        owner === undefined
          ? 'it was created by hand (no annotation fission-uid)'
          : `it belongs to specification "${existing.metadata.annotations?.[NAME_ANNOTATION] ?? ''}" (uid ${owner})`,
      fix: 'delete or rename it, or add --allowconflicts to take it over',
    },
  );
}

function desiredObject(
  { kind, name, object }: SpecObject,
  namespace: string,
  config: DeploymentConfig | undefined,
  archives: ReadonlyMap<string, ArchiveSpec>,
  { commit }: ApplyOptions,
): StoredObject {
  const rest: Record<string, unknown> = { ...object };
  delete rest.status;
  const { labels, annotations, ...metadata } = object.metadata as unknown as KubeObject['metadata'];
  const marks: Record<string, string> =
    config === undefined ? {} : { [UID_ANNOTATION]: config.uid, [NAME_ANNOTATION]: config.name };
  const spec = (rest.spec ?? {}) as Record<string, unknown>;
  return {
    ...rest,
    apiVersion: 'fission.io/v1',
    kind,
    metadata: {
      ...metadata,
      name,
      namespace,
      labels: { ...labels, ...(commit === undefined ? {} : { commit }) },
      annotations: { ...annotations, ...marks },
    },
    spec: kind === 'Package' ? withArchives(spec, archives) : spec,
  };
}

function withArchives(
  spec: Record<string, unknown>,
  archives: ReadonlyMap<string, ArchiveSpec>,
): Record<string, unknown> {
  const result = { ...spec };
  for (const field of ['deployment', 'source']) {
    const url = (spec[field] as ArchiveSpec | undefined)?.url;
    if (url?.startsWith(ARCHIVE_SCHEME) === true)
      result[field] = archives.get(url.slice(ARCHIVE_SCHEME.length));
  }
  return result;
}

/**
 * A function names the version of its package, so that new code deploys it anew. That version moves with every
 * write of the package's status, so it is only touched when this apply changed the package.
 */
function keepPackageVersion(
  desired: StoredObject,
  existing: StoredObject | undefined,
  applied: readonly Applied[],
): void {
  const reference = packageReference(desired);
  if (reference === undefined || reference.resourceversion !== undefined) return;
  const pkg = applied.find(
    ({ type, object }) =>
      type === RESOURCES.packages &&
      object.metadata.name === reference.name &&
      object.metadata.namespace === desired.metadata.namespace,
  );
  const version =
    pkg !== undefined && pkg.change !== 'unchanged'
      ? pkg.object.metadata.resourceVersion
      : existing === undefined
        ? undefined
        : packageReference(existing)?.resourceversion;
  if (version === undefined) return;
  desired.spec.package = {
    ...(desired.spec.package as object),
    packageref: { ...reference, resourceversion: version },
  };
}

function packageReference({ spec }: StoredObject): { name?: string; resourceversion?: string } | undefined {
  return (spec.package as { packageref?: { name?: string; resourceversion?: string } } | undefined)
    ?.packageref;
}

/** The desired object over the existing one: what others keep in its metadata stays. */
function merged(desired: StoredObject, existing: StoredObject): StoredObject {
  const { labels, annotations } = existing.metadata;
  return {
    ...desired,
    metadata: {
      ...existing.metadata,
      labels: { ...labels, ...desired.metadata.labels },
      annotations: { ...annotations, ...desired.metadata.annotations },
    },
    ...(existing.status === undefined ? {} : { status: existing.status }),
  };
}

function isSame(after: StoredObject, before: StoredObject): boolean {
  const { labels = {}, annotations = {}, generation } = after.metadata;
  return (
    generation === before.metadata.generation &&
    isDeepStrictEqual(labels, before.metadata.labels ?? {}) &&
    isDeepStrictEqual(annotations, before.metadata.annotations ?? {})
  );
}

/** Everything that an apply of this specification made, newest kinds first: in the order to delete it. */
export async function ownedBy(
  cluster: Cluster,
  uid: string,
  namespace: string | null,
): Promise<{ type: ResourceType; object: KubeObject }[]> {
  const owned: { type: ResourceType; object: KubeObject }[] = [];
  for (const type of [...APP_TYPES].reverse()) {
    for (const object of await cluster.list(type, namespace)) {
      if (object.metadata.annotations?.[UID_ANNOTATION] === uid) owned.push({ type, object });
    }
  }
  return owned;
}

async function deleteOthers(
  cluster: Cluster,
  config: DeploymentConfig | undefined,
  applied: readonly Applied[],
  dryRun: boolean,
): Promise<{ type: ResourceType; object: KubeObject }[]> {
  if (config === undefined) {
    throw new CliError('--delete needs a DeploymentConfig in the specs folder', {
      why: 'without its uid nothing tells which resources an earlier apply has made',
      fix: 'make one: fissium spec init',
    });
  }
  const wanted = new Set(applied.map(({ object }) => object.metadata.uid));
  const others = (await ownedBy(cluster, config.uid, null)).filter(
    ({ object }) => !wanted.has(object.metadata.uid),
  );
  if (!dryRun) {
    for (const { type, object } of others)
      await cluster.remove(type, object.metadata.name, object.metadata.namespace);
  }
  return others;
}

function report(
  { out }: CommandContext,
  applied: readonly Applied[],
  deleted: readonly { type: ResourceType; object: KubeObject }[],
  dryRun: boolean,
): void {
  let lines = 0;
  const show = (type: ResourceType, what: string, objects: readonly KubeObject[]): void => {
    if (objects.length === 0) return;
    lines++;
    const noun = objects.length === 1 ? type.kind.toLowerCase() : type.plural;
    out.line(`${objects.length} ${noun} ${what}: ${objects.map(({ metadata }) => metadata.name).join(', ')}`);
  };
  for (const type of APP_TYPES) {
    for (const change of ['created', 'updated'] as const) {
      const changed = applied.filter((one) => one.type === type && one.change === change);
      show(
        type,
        dryRun ? `would be ${change}` : change,
        changed.map(({ object }) => object),
      );
    }
    const gone = deleted.filter((one) => one.type === type).map(({ object }) => object);
    show(type, dryRun ? 'would be deleted' : 'deleted', gone);
  }
  if (lines === 0) out.line('Everything up to date.');
}

async function waitForAll(
  { out }: CommandContext,
  cluster: Cluster,
  applied: readonly Applied[],
  { wait, waitTimeoutMs }: ApplyOptions,
): Promise<void> {
  const failures: string[] = [];
  const until = performance.now() + waitTimeoutMs;
  for (const { type, object } of applied) {
    if (type === RESOURCES.environments) continue;
    const what = `${type.kind} "${object.metadata.name}"`;
    const outcome = await waitReady(cluster, type, object, {
      timeoutMs: Math.max(0, until - performance.now()),
      out,
      text: `waiting for ${what}`,
    });
    if (outcome.type === 'ready') continue;
    const why = outcome.type === 'deleted' ? 'it was deleted' : `${outcome.reason}: ${outcome.message}`;
    if (wait === 'require' && !(outcome.type === 'not-ready' && outcome.reason === 'EnvironmentNotServed')) {
      failures.push(`${what}: ${why}`);
    } else out.warn(`${what} is not ready: ${why}`);
  }
  if (failures.length > 0) throw new CliError('not everything is ready', { why: failures.join('\n') });
}
