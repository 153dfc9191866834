import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageFolder } from './package-folder.ts';

/** The version of this CLI, as its package.json says. */
export function clientVersion(): string {
  const { version = 'unknown' } = JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8')) as {
    version?: string;
  };
  return version;
}
