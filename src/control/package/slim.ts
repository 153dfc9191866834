/**
 * Packages as they are kept in memory: without their literal archives, which may be 256 KiB each, but with what
 * the reconcilers need to know of them.
 */
import { createHash } from 'node:crypto';

import { type Archive, type Package, resolvePackage, type ResolvedPackage } from '../../api/index.ts';
import { archiveIdOf, isDigest } from '../../packages/index.ts';
import { attempt, type Resolution } from '../resolutions.ts';

/** A Package's resolved form; a literal archive is empty here. */
export interface PackageView extends ResolvedPackage {
  /** sha256 of the deployment archive, where it is a literal. */
  readonly literalDigest: string | null;
  /** sha256 of the source archive, where it is a literal. */
  readonly sourceLiteralDigest: string | null;
  /** The digests of archives that the package names in any way. */
  readonly archiveDigests: readonly string[];
}

const views = new WeakMap<Package, Resolution<PackageView>>();

/** The package without literals; `viewOf` tells what it says. */
export function slimPackage(full: Package): Package {
  const resolution = attempt(() => toView(resolvePackage(full)));
  const { deployment, source } = full.spec;
  const slim: Package = { ...full, spec: { ...full.spec } };
  if (deployment?.literal !== undefined) slim.spec.deployment = { ...deployment, literal: '' };
  if (source?.literal !== undefined) slim.spec.source = { ...source, literal: '' };
  views.set(slim, resolution);
  return slim;
}

export function viewOf(pkg: Package): Resolution<PackageView> {
  const known = views.get(pkg);
  if (known !== undefined) return known;
  const resolution = attempt(() => toView(resolvePackage(pkg)));
  views.set(pkg, resolution);
  return resolution;
}

function toView(resolved: ResolvedPackage): PackageView {
  const { deployment, source } = resolved;
  const literalDigest = digestOfLiteral(deployment);
  const sourceLiteralDigest = digestOfLiteral(source);
  const named = [literalDigest, sourceLiteralDigest];
  for (const archive of [deployment, source])
    named.push(archive?.checksum?.sum ?? null, digestInUrl(archive));
  return {
    ...resolved,
    deployment: withoutLiteral(deployment),
    source: withoutLiteral(source),
    literalDigest,
    sourceLiteralDigest,
    archiveDigests: named.filter((digest) => digest !== null),
  };
}

function withoutLiteral(archive: Archive | null): Archive | null {
  return archive?.literal === undefined ? archive : { ...archive, literal: new Uint8Array() };
}

function digestInUrl(archive: Archive | null): string | null {
  const name = archiveIdOf(archive?.url ?? '')?.name ?? '';
  return isDigest(name) ? name : null;
}

function digestOfLiteral(archive: Archive | null): string | null {
  return archive?.literal === undefined ? null : sha256(archive.literal);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
