/** Fission's internal authentication on the internal listener of a platform in one process. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomBytes } from 'node:crypto';
import { digestOf, requestSigner } from '../../src/auth/request-signer.ts';
import { ApiClient } from './support/api-client.ts';
import { type Platform, startPlatform } from './support/platform.ts';

const SECRET = 'of this installation';
const ENV = { FISSION_INTERNAL_AUTH_SECRET: SECRET };
const GUEST = join(import.meta.dirname, '../../wasm-envs/rust/template/hello.wasm');

let platform: Platform;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-signed-'));
  platform = await startPlatform({ workers: 1, env: ENV });
  const created = await platform.cli(
    ['function', 'create', '--name', 'hello', '--code', GUEST, '--env', 'wasm'],
    {
      env: ENV,
    },
  );
  if (created.code !== 0) throw new Error(created.stderr);
}, 120_000);
afterAll(async () => {
  await platform?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('refuses what nobody signed, and says so', async () => {
  for (const path of ['/fission-function/hello', '/v1/logs/default/hello', '/v1/archive']) {
    const answer = await fetch(platform.internal + path);
    expect([path, answer.status]).toEqual([path, 401]);
    expect(await answer.json()).toMatchObject({ code: 'NOT_SIGNED' });
  }
  for (const path of ['/healthz', '/readyz', '/metrics', '/_version']) {
    expect((await fetch(platform.internal + path)).status).toBe(200);
  }
});

test('answers a call that is signed as Fission signs', async () => {
  const path = '/fission-function/hello?a=1';
  const headers = requestSigner('router-internal', SECRET)('POST', path, digestOf('body'));
  const answer = await fetch(platform.internal + path, { method: 'POST', body: 'body', headers });
  expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('Hello')]);
});

test('function test and logs work with the secret in the environment, and say what is missing without', async () => {
  const call = ['function', 'test', '--name', 'hello', '--body', 'some', '--method', 'POST'];
  expect(await platform.cli(call, { env: ENV })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Hello') as string,
  });
  expect(await platform.cli(['function', 'logs', '--name', 'hello'], { env: ENV })).toMatchObject({
    code: 0,
  });
  const refused = await platform.cli(call);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('NOT_SIGNED');
  expect(refused.stderr).toContain('set FISSION_INTERNAL_AUTH_SECRET');
});

test('an archive that goes to the storage service is signed as it streams', async () => {
  const big = join(folder, 'big.bin');
  await writeFile(big, randomBytes(600_000));
  const uploaded = await platform.cli(['archive', 'upload', '--name', big], { env: ENV });
  expect(uploaded, uploaded.stderr).toMatchObject({ code: 0 });
  expect((await platform.cli(['archive', 'upload', '--name', big])).stderr).toContain('NOT_SIGNED');
});

test('the Kubernetes API reads logs, and the CLI finds the secret there', async () => {
  const api = await ApiClient.from(platform.kubeconfig);
  try {
    const pods = await api.get('/api/v1/namespaces/default/pods');
    const name = pods.body.items[0]?.metadata.name ?? '';
    expect((await api.get(`/api/v1/namespaces/default/pods/${name}/log`)).code).toBe(200);
    await api.post('/api/v1/namespaces/fission/secrets', {
      metadata: { name: 'fission-internal-auth' },
      stringData: { secret: SECRET },
    });
  } finally {
    api.close();
  }
  const found = await platform.cli(['function', 'test', '--name', 'hello']);
  expect(found, found.stderr).toMatchObject({ code: 0 });
});

test('a secret that is set but empty is refused', async () => {
  const empty = { workers: 1, env: { FISSION_INTERNAL_AUTH_SECRET: '' } };
  await expect(startPlatform(empty)).rejects.toThrow('set but empty');
});
