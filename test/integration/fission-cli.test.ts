/**
 * Fission's own CLI against a running platform: every command that concerns what is here, compared with golden
 * transcripts, once finding the platform's services by itself (port forwarding) and once by the FISSION_* variables.
 * The program is built by test/fission-cli/build.sh; .ci/run does so first.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCENARIOS } from '../fission-cli/scenarios.ts';
import {
  findFissionCli,
  output,
  type Output,
  type Session,
  take,
  transcript,
  writeBigArchive,
} from '../fission-cli/session.ts';
import { ApiClient } from './support/api-client.ts';
import { startPlatform, type Platform } from './support/platform.ts';

const HERE = join(import.meta.dirname, '../fission-cli');

const fissionCli = await findFissionCli();

describe.skipIf(fissionCli === '').each([
  ['finding the services by itself', false],
  ['with the services in FISSION_* variables, signing what goes to the storage service', true],
])('Fission’s CLI, %s', (_how, named) => {
  let platform: Platform;
  let folder: string;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fissium-fission-cli-'));
    platform = await startPlatform({ workers: 1 });
    env = { ...process.env, HOME: folder, KUBECONFIG: platform.kubeconfig, NO_COLOR: '1' };
    if (named) {
      // Version 1.27.0 calls functions at the address at which it asks for the version; later ones at the second.
      env['FISSION_ROUTER_URL'] = platform.internal;
      env['FISSION_ROUTER_INTERNAL_URL'] = platform.internal;
      env['FISSION_STORAGESVC_URL'] = platform.internal;
    }
    const api = await ApiClient.from(platform.kubeconfig);
    await api.post('/api/v1/namespaces', { metadata: { name: 'team' } });
    if (named) {
      await api.post('/api/v1/namespaces/fission/secrets', {
        metadata: { name: 'fission-internal-auth' },
        stringData: { secret: 'of this installation' },
      });
    }
    api.close();
    await writeBigArchive(join(folder, 'big.zip'), 1);
    await writeBigArchive(join(folder, 'other.zip'), 2);
  }, 120_000);

  afterAll(async () => {
    await platform?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const session = (): Session => ({ program: fissionCli, env, folder, router: platform.router });

  test.each(Object.keys(SCENARIOS))(
    '%s',
    async (name) => {
      const cwd = await mkdtemp(join(folder, `${name}-`));
      const said = await transcript(session(), SCENARIOS[name] ?? [], cwd);
      await expect(said).toMatchFileSnapshot(join(HERE, 'golden', `${name}.txt`));
    },
    180_000,
  );

  test('fn logs --follow shows new lines until it is ended, and the platform goes on', async () => {
    const cwd = await mkdtemp(join(folder, 'follow-'));
    await take(session(), { write: 'torture.wasm', from: 'torture.wasm' }, cwd);
    await take(
      session(),
      ['fn', 'create', '--name', 'chatty', '--code', 'torture.wasm', '--env', 'wasm'],
      cwd,
    );
    await take(session(), ['fn', 'wait', '--name', 'chatty', '--for', 'condition=Ready'], cwd);
    const child = execFile(fissionCli, ['fn', 'logs', '--name', 'chatty', '-f'], { cwd, env });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    let seen = '';
    const two = new Promise<void>((resolve) => {
      child.stdout?.on('data', (chunk: string) => {
        seen += chunk;
        if (seen.includes('line 1')) resolve();
      });
    });
    await fetch(`${platform.internal}/fission-function/chatty/log`);
    await two;
    child.kill('SIGINT');
    await ended;
    expect(seen).toContain('stdout line 0\n');
    expect(await take(session(), ['fn', 'test', '--name', 'chatty', '--subpath', '/hello'], cwd)).toContain(
      'Hello',
    );
    await take(session(), ['fn', 'delete', '--name', 'chatty'], cwd);
  });

  test('archives are uploaded, listed, fetched and deleted', async () => {
    const cwd = await mkdtemp(join(folder, 'archives-'));
    const run = (...args: string[]): Promise<Output> =>
      output(fissionCli, ['archive', ...args], { cwd, env });
    const { stdout } = await run('upload', '--name', join(folder, 'big.zip'));
    const id = /[0-9a-f]{64}/.exec(stdout)?.[0] ?? '';
    expect((await run('list')).stdout).toContain(id);
    expect((await run('get-url', '--id', id)).stdout).toContain(`/v1/archive?id=${id}`);
    expect((await run('download', '--id', id, '--output', 'back.zip')).code).toBe(0);
    expect(await readFile(join(cwd, 'back.zip'))).toEqual(await readFile(join(folder, 'big.zip')));
    expect((await run('delete', '--id', id)).code).toBe(0);
    expect((await run('list')).stdout).not.toContain(id);
  });

  test('support dump has the platform’s parts, the functions and their logs', async () => {
    const cwd = await mkdtemp(join(folder, 'dump-'));
    const { code, stdout } = await output(fissionCli, ['support', 'dump', '--nozip', '--output', 'dump'], {
      cwd,
      env,
    });
    expect(code).toBe(0);
    const where = /placed at (\S+)/.exec(stdout)?.[1] ?? '';
    const version = await readFile(join(where, 'fission-version/fission-version.txt'), 'utf8');
    expect(version).toContain('0.1.0');
    const log = await readFile(join(where, 'fission-components-pod-log/fission_router_1_router.txt'), 'utf8');
    expect(log).toContain('standard error');
  });
});
