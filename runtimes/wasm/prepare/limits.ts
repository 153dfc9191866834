/** Whether a prepared package fits the limits of a function that wants to use it. */
import { FissiumError } from '../../../src/errors.ts';
import type { GuestLimits, PreparedManifest } from '../engine.ts';
import { PAGE_BYTES } from '../rewrite/index.ts';
import { mebibytes } from './refusal.ts';

/**
 * Pages that each memory of the package may have: the function's limit, shared evenly where several modules have
 * one, so that all of them together stay under it.
 */
export function memoryPages(manifest: PreparedManifest, memoryBytes: number): number {
  const memories = manifest.modules.filter(({ initialPages }) => initialPages !== undefined).length;
  return Math.floor(memoryBytes / PAGE_BYTES / Math.max(1, memories));
}

/** @throws FissiumError PACKAGE_REFUSED, with both figures, where a memory begins larger than it may become */
export function validateLimits(manifest: PreparedManifest, limits: Pick<GuestLimits, 'memoryBytes'>): void {
  const pages = memoryPages(manifest, limits.memoryBytes);
  for (const { name, initialPages = 0 } of manifest.modules) {
    if (initialPages <= pages) continue;
    throw new FissiumError(
      'PACKAGE_REFUSED',
      `the package begins with ${mebibytes(initialPages * PAGE_BYTES)} of memory (core module ${name}), but the ` +
        `function may have ${mebibytes(pages * PAGE_BYTES)}; raise resources.limits.memory of the function, or ` +
        'build the package with less',
    );
  }
}
