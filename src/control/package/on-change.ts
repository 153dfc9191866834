import type { Package } from '../../api/index.ts';
import { onSpecChange } from '../spec-change.ts';
import type { WatchedKind } from '../watched.ts';
import { hasBuildFailed, isRebuildAsked } from './build-state.ts';

/**
 * Changes that matter to the package reconciler: of the spec, and of a status that asks for another build or, for those
 * who do not build, says that it failed.
 */
export function onPackageChange(packages: WatchedKind<Package>, listener: (pkg: Package) => void): void {
  onSpecChange(packages, listener);
  packages.onChange({
    update: (pkg, before) => {
      const isAskedNow = isRebuildAsked(pkg) && !isRebuildAsked(before);
      if (isAskedNow || hasBuildFailed(pkg) !== hasBuildFailed(before)) listener(pkg);
    },
  });
}
