/** The published package, installed elsewhere, does what the checkout does. */
import { execFile, spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { guest } from './support/guests.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-tarball-'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: ROOT,
    maxBuffer: 1 << 26,
  });
  const [{ filename = '' } = {}] = JSON.parse(stdout.slice(stdout.indexOf('['))) as { filename?: string }[];
  await writeFile(join(folder, 'package.json'), '{ "private": true }');
  await cp(join(ROOT, '.npmrc'), join(folder, '.npmrc'));
  await run('npm', ['install', '--no-audit', '--no-fund', join(folder, filename)], {
    cwd: folder,
    maxBuffer: 1 << 26,
  });
}, 300_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('npx fissium up serves its example, and the CLI deploys to it', { timeout: 120_000 }, async () => {
  const ports = ['--port', '0', '--internal-port', '0', '--api-port', '0'];
  // `npx` would stand between us and the platform's pid; what it runs is this file.
  const fissium = join(folder, 'node_modules/.bin/fissium');
  const platform = spawn(fissium, ['up', '--data', join(folder, 'data'), '--example', ...ports], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const ready = await new Promise<{ router: string; kubeconfig: string }>((resolve, reject) => {
      let output = '';
      platform.once('exit', (code) => reject(new Error(`ended with code ${code}: ${output}`)));
      platform.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        const line = /^fissium ready (\{.*\})$/m.exec(output)?.[1];
        if (line !== undefined) resolve(JSON.parse(line) as { router: string; kubeconfig: string });
      });
    });
    expect(await (await fetch(`${ready.router}/example`)).text()).toContain('Hello');

    const env = { ...process.env, KUBECONFIG: ready.kubeconfig };
    const cli = (...args: string[]): Promise<{ stdout: string }> =>
      run('npx', ['fissium', ...args], { cwd: folder, env });
    await cli('function', 'create', '--name', 'hello', '--code', guest('hello'), '--env', 'wasm');
    await cli('route', 'create', '--function', 'hello', '--url', '/hello', '--method', 'GET');
    expect(await (await fetch(`${ready.router}/hello`)).text()).toBe('Hello, world!\n');
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect((await cli('version')).stdout).toContain(version);
    // Its load generator is a file of its own, which the package must have.
    const loops = ['--duration', '300ms', '--warm-up', '100ms', '--connections', '2', '--rate', '50'];
    const { stdout } = await cli('bench', 'hello', '--cold', '1', ...loops);
    expect(stdout).toContain('first request\n');
    expect(stdout).toContain('closed loop: answers, 2 connections');
  } finally {
    platform.kill('SIGTERM');
    await new Promise((resolve) => platform.once('close', resolve));
  }
});
