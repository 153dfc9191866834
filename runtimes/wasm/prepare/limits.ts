/** Whether a prepared package fits the limits of a function that wants to use it. */
import { FissiumError } from '../../../src/errors.ts';
import type { GuestLimits, PreparedManifest } from '../engine.ts';
import { PAGE_BYTES } from '../rewrite/index.ts';
import { mebibytes } from './refusal.ts';

/** @throws FissiumError PACKAGE_REFUSED, with both figures, where the package begins larger than the function may become */
export function validateLimits(manifest: PreparedManifest, limits: Pick<GuestLimits, 'memoryBytes'>): void {
  const pages = manifest.modules.reduce((sum, { initialPages }) => sum + (initialPages ?? 0), 0);
  const initialBytes = pages * PAGE_BYTES;
  if (initialBytes <= limits.memoryBytes) return;
  throw new FissiumError(
    'PACKAGE_REFUSED',
    `the package begins with ${mebibytes(initialBytes)} of memory, but the function may have ` +
      `${mebibytes(limits.memoryBytes)}; raise resources.limits.memory of the function, or build the package with less`,
  );
}
