/** The checkout that is measured, and the machine that it is measured on. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine as describe, type Machine } from '../src/bench/machine.ts';

export { BUSY_SHARE, machineWarnings } from '../src/bench/machine.ts';

export const ROOT = join(import.meta.dirname, '..');

export function describeMachine(): Promise<Machine> {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  return describe({ fissium: version, commit: commit() });
}

/** With a mark where the tree had changes; `unknown` where there is no git. */
function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', ROOT, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    return `${git('rev-parse', '--short=12', 'HEAD')}${git('status', '--porcelain') === '' ? '' : ' with uncommitted changes'}`;
  } catch {
    return 'unknown';
  }
}
