import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The package's own folder: a checkout's, or that of the published package; found by its package.json. */
export function packageFolder(): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder))
    if (existsSync(join(folder, 'package.json'))) return folder;
  throw new Error(`there is no package.json above ${import.meta.dirname}`);
}
