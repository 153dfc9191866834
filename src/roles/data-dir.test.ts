import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { openDataDir } from './data-dir.ts';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'fissium-data-'));
});
afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

test('the folder is made for its owner alone', () => {
  const dir = openDataDir(join(base, 'a', 'data'));
  expect(statSync(dir.path).mode & 0o777).toBe(0o700);
  dir.release();
});

test('a second process is refused and told who holds the folder; the lock goes with the holder, even by kill -9', async () => {
  const path = join(base, 'data');
  const script = `import { openDataDir } from ${JSON.stringify(new URL('./data-dir.ts', import.meta.url).href)};
    openDataDir(${JSON.stringify(path)}); console.log('held'); setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  expect(() => openDataDir(path)).toThrow(new RegExp(`in use by process ${holder.pid} `));
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  openDataDir(path).release();
});

test('a folder that cannot be made is named', () => {
  expect(() => openDataDir('/proc/nowhere/data')).toThrow(/--data \/proc\/nowhere\/data cannot be used/);
});
