/** Builds `dist/` for the published package: Node does not strip types from files under node_modules. */
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';

const root = new URL('..', import.meta.url).pathname;
rmSync(`${root}dist`, { recursive: true, force: true });
execFileSync(`${root}node_modules/.bin/tsc`, ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
// What Python runs is no output of tsc.
cpSync(`${root}runtimes/python`, `${root}dist/runtimes/python`, {
  recursive: true,
  filter: (path) => !/(__pycache__|\.test\.ts)$/.test(path),
});
