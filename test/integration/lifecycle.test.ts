/** Starting, stopping, dying and starting again, as an operator sees it. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { guest } from './support/guests.ts';
import { type Platform, runFissium, startPlatform } from './support/platform.ts';

const running: Platform[] = [];
const folders: string[] = [];

async function start(options: Parameters<typeof startPlatform>[0] = {}): Promise<Platform> {
  const platform = await startPlatform(options);
  running.push(platform);
  return platform;
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fissium-lifecycle-'));
  folders.push(folder);
  return folder;
}

async function deployTorture(platform: Platform): Promise<void> {
  const created = await platform.cli([
    'fn',
    'create',
    '--name',
    'torture',
    '--code',
    guest('torture'),
    '--env',
    'wasm',
  ]);
  expect(created.code, created.stderr).toBe(0);
  const route = [
    'route',
    'create',
    '--name',
    't',
    '--function',
    'torture',
    '--prefix',
    '/t',
    '--method',
    'GET',
  ];
  const routed = await platform.cli(route);
  expect(routed.code, routed.stderr).toBe(0);
}

afterEach(async () => {
  for (const platform of running.splice(0)) await platform.stop('SIGKILL');
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

test('the data folder is its owner’s alone, with everything in it', async () => {
  const platform = await start({ example: true });
  expect((await stat(platform.dataDir)).mode & 0o777).toBe(0o700);
  const entries = await readdir(platform.dataDir, { recursive: true, withFileTypes: true });
  expect(entries.length).toBeGreaterThan(5);
  for (const entry of entries) {
    const { mode } = await stat(join(entry.parentPath, entry.name));
    expect(`${entry.name} ${(mode & 0o077).toString(8)}`).toBe(`${entry.name} 0`);
  }
});

test('the example answers as soon as the ready line is out', async () => {
  const platform = await start({ example: true });
  const answer = await fetch(`${platform.router}/example`);
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain('Hello');
  // Prepared with all steps: what is prepared without some is kept in a folder that says so.
  for (const entry of await readdir(join(platform.dataDir, 'cache')))
    expect(entry).toMatch(/^[0-9a-f]{64}-\d+$/);
});

test('a second platform on the same folder is refused and told which process holds it', async () => {
  const platform = await start();
  const second = await runFissium([
    'up',
    '--data',
    platform.dataDir,
    '--port',
    '0',
    '--internal-port',
    '0',
    '--api-port',
    '0',
  ]);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`in use by process ${platform.process.pid}`);
});

test('a port that is taken is named, and nothing is left running', async () => {
  const platform = await start();
  const { port } = new URL(platform.router);
  const second = await runFissium([
    'up',
    '--data',
    await temporaryFolder(),
    '--port',
    port,
    '--internal-port',
    '0',
    '--api-port',
    '0',
  ]);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(port);
});

test('what was deployed serves again after a restart and after kill -9', async () => {
  const dataDir = await temporaryFolder();
  let platform = await start({ dataDir });
  await deployTorture(platform);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await platform.stop(signal);
    platform = await start({ dataDir });
    const answer = await fetch(`${platform.router}/t/hello`);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe('Hello, world!\n');
  }
});

test('SIGTERM lets a request in flight finish, and ends with code 0', async () => {
  const platform = await start();
  await deployTorture(platform);
  // The head is sent before the pause, so that the request is known to run when the signal comes.
  const answer = await fetch(`${platform.router}/t/slow-body?chunks=3&ms=300`);
  const stopped = platform.stop('SIGTERM');
  const lines = (await answer.text()).trim().split('\n');
  expect(lines.length).toBeGreaterThanOrEqual(3);
  expect(await stopped).toEqual({ code: 0, signal: null });
});

test('a spinning guest is ended with 504 while others are answered', async () => {
  const platform = await start();
  await deployTorture(platform);
  const limited = await platform.cli(['fn', 'update', '--name', 'torture', '--cpu-time', '1s']);
  expect(limited.code, limited.stderr).toBe(0);
  const spinning = fetch(`${platform.router}/t/spin`);
  const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${platform.router}/t/hello`)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
  const ended = await spinning;
  expect(ended.status).toBe(504);
  expect(await ended.json()).toMatchObject({ code: 'CPU_LIMIT' });
  // The thread that it ran on was not lost.
  const metrics = await (await fetch(`${platform.internal}/metrics`)).text();
  expect(metrics).toContain('fission_function_calls_total');
});
