/** Whether a prepared package fits the limits of a function that wants to use it. */
import { FissiumError } from '../../../src/errors.ts';
import type { GuestLimits, PreparedManifest } from '../engine.ts';
import type { InstanceLife, Need } from '../pool/index.ts';
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

/**
 * What one instance takes at once in memories that its modules make themselves. Those that may grow unchecked
 * (`rewrite/grow-check.ts`) count with all that they may become.
 */
export function ownMemories(manifest: PreparedManifest, memoryBytes: number): Need {
  const limit = memoryPages(manifest, memoryBytes);
  let [memories, pages] = [0, 0];
  for (const { initialPages, importsMemory, interruptible, growsUnchecked } of manifest.modules) {
    if (initialPages === undefined || importsMemory === true) continue;
    memories++;
    pages += interruptible && growsUnchecked !== true ? initialPages : limit;
  }
  return { memories, pages };
}

/**
 * @throws FissiumError PACKAGE_REFUSED, with both figures, where a memory begins larger than it may become; where
 * instances are to live in a way that the package's engine does not have
 */
export function validateLimits(
  manifest: PreparedManifest,
  limits: Pick<GuestLimits, 'memoryBytes' | 'instance'>,
): void {
  validateLife(manifest, limits.instance);
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

function validateLife({ engine, reason }: PreparedManifest, life: InstanceLife | undefined): void {
  if (life?.mode !== 'reuse') return;
  if (engine === 'p1') {
    throw new FissiumError(
      'PACKAGE_REFUSED',
      'spec.wasm.instance.mode is reuse, but a WASI preview 1 command runs from its beginning to its end for each ' +
        'request and has no state to keep; use mode fresh, or build the function as a WASI 0.2 component',
    );
  }
  if (engine === 'jco') {
    throw new FissiumError(
      'PACKAGE_REFUSED',
      `spec.wasm.instance.mode is reuse, which only the component engine has; this package is ${reason}. Use mode fresh`,
    );
  }
  const { maxConcurrent = 1 } = life;
  if (maxConcurrent > 1) {
    throw new FissiumError(
      'PACKAGE_REFUSED',
      `spec.wasm.instance.maxConcurrent is ${maxConcurrent}, but an instance of a WASI 0.2 component takes one request ` +
        'at a time: it cannot be entered again before it has returned. Leave it at 1; requests that come at once get ' +
        'instances of their own, as many as spec.concurrency allows',
    );
  }
}
