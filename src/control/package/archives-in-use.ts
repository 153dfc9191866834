/** Which archives of the platform's own store must stay. */
import type { Package } from '../../api/index.ts';
import { archivesNamedBy, type ArchiveStore, pinNameOf } from '../../packages/index.ts';
import { viewOf } from './slim.ts';

/** What is fetched for a package is remembered under this, and its URL. */
export function pinOf({ metadata: { uid, generation } }: Package): string {
  return `${uid} ${generation}`;
}

/**
 * The digests that Packages name in any way, literals and what URLs without a checksum gave included.
 * @param graceMs what was remembered for other packages is kept that long
 */
export async function archivesInUse(
  packages: readonly Package[],
  archives: ArchiveStore,
  graceMs: number,
): Promise<Set<string>> {
  const digests = new Set<string>();
  const pins: string[] = [];
  for (const pkg of packages) {
    for (const name of archivesNamedBy(pkg)) digests.add(name);
    const view = viewOf(pkg);
    if (view.ok) for (const digest of view.value.archiveDigests) digests.add(digest);
    for (const archive of [pkg.spec.source, pkg.spec.deployment]) {
      if (archive?.url) pins.push(pinNameOf(pinOf(pkg), archive.url));
    }
  }
  for (const digest of await archives.keepPins(pins, Date.now() - graceMs)) digests.add(digest);
  return digests;
}
