/**
 * Changes that users make to pods (`spec.runtime.container`, `spec.runtime.podspec`, `spec.podspec`), laid over what
 * the platform would make, by Fission's rules: lists are joined and refuse two of a name, maps are merged, containers
 * are matched by name, anything else replaces. What a pod may not ask for was refused before (`src/api/pod-safety.ts`).
 */
import { isObject, type JsonObject } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import type { Container, PodSpec } from '../../kube/index.ts';
import { PRE_STOP_SECONDS } from './containers.ts';

/** Lists of a container, by what makes two of their entries the same. */
const CONTAINER_LISTS: Readonly<Record<string, string>> = {
  ports: 'containerPort',
  env: 'name',
  volumeMounts: 'mountPath',
  volumeDevices: 'name',
};
const POD_LISTS: Readonly<Record<string, string>> = {
  volumes: 'name',
  imagePullSecrets: 'name',
};
/** Kubernetes' own. */
const DEFAULT_GRACE_S = 30;

/** Which account a pod has, and whether it may use it, is the platform's. */
const PLATFORMS_OWN: ReadonlySet<string> = new Set([
  'serviceAccountName',
  'serviceAccount',
  'automountServiceAccountToken',
  'hostNetwork',
  'hostPID',
  'hostIPC',
]);

/**
 * @param where of the changes, for messages, e.g. `spec.runtime.container`
 * @throws FissiumError RESOURCE_INVALID where two entries of a list have one name
 */
export function mergeContainer(base: Container, changes: JsonObject | null, where: string): Container {
  // What the user wrote is checked by the API server, which says so better.
  return mergeObjects(
    base as unknown as JsonObject,
    changes ?? {},
    CONTAINER_LISTS,
    where,
  ) as unknown as Container;
}

/** @throws FissiumError RESOURCE_INVALID where two entries of a list have one name */
export function mergePodSpec(base: PodSpec, changes: JsonObject | null, where: string): PodSpec {
  if (changes === null) return fitToGrace(base);
  const { containers, initContainers, ...rest } = changes;
  const allowed = Object.fromEntries(Object.entries(rest).filter(([name]) => !PLATFORMS_OWN.has(name)));
  const merged = mergeObjects(base as unknown as JsonObject, allowed, POD_LISTS, where) as unknown as PodSpec;
  const inits = mergeContainers(base.initContainers ?? [], initContainers, `${where}.initContainers`);
  return fitToGrace({
    ...merged,
    ...(inits.length === 0 ? {} : { initContainers: inits }),
    containers: mergeContainers(base.containers, containers, `${where}.containers`),
  });
}

/** Kubernetes refuses a pod that would sleep for as long as it may take to end: a short grace gets a shorter sleep. */
function fitToGrace(spec: PodSpec): PodSpec {
  const { terminationGracePeriodSeconds: graceS = DEFAULT_GRACE_S } = spec;
  if (graceS > PRE_STOP_SECONDS) return spec;
  return {
    ...spec,
    containers: spec.containers.map((container) => {
      const { lifecycle, ...rest } = container;
      // What a user wrote is the user's.
      if (lifecycle?.preStop?.sleep?.seconds !== PRE_STOP_SECONDS) return container;
      const { postStart } = lifecycle;
      const preStop = graceS > 1 ? { sleep: { seconds: graceS - 1 } } : undefined;
      return { ...rest, lifecycle: { ...(postStart && { postStart }), ...(preStop && { preStop }) } };
    }),
  };
}

function mergeContainers(base: readonly Container[], changes: unknown, where: string): Container[] {
  const merged = [...base];
  for (const [index, change] of objectsOf(changes).entries()) {
    const at = merged.findIndex(({ name }) => name === change['name']);
    const before = merged[at];
    if (before === undefined) merged.push(change as unknown as Container);
    else merged[at] = mergeContainer(before, change, `${where}[${index}]`);
  }
  return merged;
}

function mergeObjects(
  base: JsonObject,
  changes: JsonObject,
  lists: Readonly<Record<string, string>>,
  where: string,
): JsonObject {
  const merged: JsonObject = { ...base };
  for (const [name, value] of Object.entries(changes)) {
    // Go's tools write what is not set as null, '' or an empty list.
    if (value === null || value === undefined || value === '') continue;
    const before = merged[name];
    if (Array.isArray(value)) merged[name] = joined(before, value, lists[name], `${where}.${name}`);
    else if (isObject(value) && isObject(before) && name !== 'affinity') {
      merged[name] = mergeObjects(before, value, {}, `${where}.${name}`);
    } else merged[name] = value;
  }
  return merged;
}

/** `command` and `args` replace; other lists are joined. */
function joined(before: unknown, value: unknown[], key: string | undefined, where: string): unknown[] {
  const isWords = value.every((entry) => typeof entry === 'string');
  if (!Array.isArray(before) || (isWords && value.length > 0)) return value;
  const all: unknown[] = [...(before as unknown[]), ...value];
  if (key === undefined) return all;
  const seen = new Set<unknown>();
  for (const entry of objectsOf(all)) {
    const name = entry[key];
    if (seen.has(name)) {
      throw new FissiumError(
        'RESOURCE_INVALID',
        `${where} has ${key} ${JSON.stringify(name)} twice, or it is one that the platform sets itself; take another.`,
      );
    }
    seen.add(name);
  }
  return all;
}

function objectsOf(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
