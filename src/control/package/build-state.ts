/** Whether a package's source is to be built, told from the object alone. */
import { createHash } from 'node:crypto';

import type { Package } from '../../api/index.ts';
import { findCondition } from '../status.ts';
import type { PackageView } from './slim.ts';

/** Annotation: what the deployment archive was built from, see {@link buildKeyOf}. */
export const BUILT_FROM = 'fissium.io/built-from';

/**
 * - `none`: there is no source.
 * - `given`: somebody gave the deployment together with the source, and it counts (as in Fission).
 * - `built`: the deployment is that of this source.
 * - `needed`: there is none, or it is another source's, or somebody asked for it to be built again.
 */
export type BuildState = 'none' | 'given' | 'built' | 'needed';

/** The same for the same source, command and environment. */
export function buildKeyOf(view: PackageView): string {
  const { source, sourceLiteralDigest, environment, buildCommand } = view;
  const content = source?.checksum?.sum ?? sourceLiteralDigest ?? source?.url ?? '';
  return createHash('sha256')
    .update(JSON.stringify([content, environment.namespace, environment.name, buildCommand]))
    .digest('hex')
    .slice(0, 32);
}

export function buildStateOf(pkg: Package, view: PackageView): BuildState {
  if (view.source === null) return 'none';
  if (view.deployment === null || isRebuildAsked(pkg) || isBuilding(pkg)) return 'needed';
  const builtFrom = pkg.metadata.annotations?.[BUILT_FROM];
  if (builtFrom === undefined) return 'given';
  return builtFrom === buildKeyOf(view) ? 'built' : 'needed';
}

/** What the platform itself writes together with `pending`. */
const OWN_PENDING = new Set([
  'EnvironmentNotFound',
  'EnvironmentInvalid',
  'BuildPending',
  'BuilderUnreachable',
]);

/**
 * Whether somebody else (`fissium package rebuild`, Fission's CLI) set the status to `pending`: the condition still
 * says what the platform wrote before.
 */
export function isRebuildAsked({ status }: Package): boolean {
  if (status?.buildstatus !== 'pending') return false;
  const ready = findCondition(status, 'Ready');
  return ready !== undefined && !OWN_PENDING.has(ready.reason);
}

/** Whether the status says that exactly this generation is being built: also by a process that is gone. */
function isBuilding({ metadata, status }: Package): boolean {
  const built = findCondition(status, 'BuildSucceeded');
  return built?.status === 'Unknown' && built.observedGeneration === metadata.generation;
}

/** Whether the deployment is what a build of this source made, and not one that was given beside it. */
export function isBuilt(pkg: Package, view: PackageView): boolean {
  return (
    view.source !== null &&
    pkg.metadata.annotations?.[BUILT_FROM] === buildKeyOf(view) &&
    findCondition(pkg.status, 'BuildSucceeded') !== undefined
  );
}

/** Whether the build of exactly this generation failed, and nobody asked for another one. */
export function hasBuildFailed(pkg: Package): boolean {
  const built = findCondition(pkg.status, 'BuildSucceeded');
  return (
    pkg.status?.buildstatus === 'failed' &&
    built?.status === 'False' &&
    built.reason === 'BuildFailed' &&
    built.observedGeneration === pkg.metadata.generation
  );
}
