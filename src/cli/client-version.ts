/** The version of this CLI, as its package.json says: beside src/ in a checkout, above dist/ in the published package. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Reads the nearest package.json above this file. */
export function clientVersion(): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (!existsSync(file)) continue;
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version?: string };
    if (version !== undefined) return version;
  }
  return 'unknown';
}
