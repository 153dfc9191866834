/**
 * Whether `dist/` was built from the sources as they are now. Plain JavaScript, since `bin/fissium` asks before
 * anything else is loaded.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What the build read, below `dist/`: a list of `[path below the root, size, mtime in ms]`. */
export const INPUTS = 'inputs.json';

/**
 * @param {string} root folder of the checkout
 * @returns {boolean} false also where nothing was built yet
 */
export function isFresh(root) {
  try {
    /** @type {[path: string, size: number, mtimeMs: number][]} */
    const inputs = JSON.parse(readFileSync(join(root, 'dist', INPUTS), 'utf8'));
    return inputs.every(([path, size, mtimeMs]) => {
      const now = statSync(join(root, path));
      return now.size === size && now.mtimeMs === mtimeMs;
    });
  } catch {
    return false;
  }
}
