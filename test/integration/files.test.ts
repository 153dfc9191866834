/** What a function finds below `/`: its package's files, its secrets and config maps, and a `/tmp` of its own. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiClient } from './support/api-client.ts';
import { FILE_CASES } from '../conformance/cases.ts';
import { answerOf } from './support/conformance.ts';
import { guest } from './support/guests.ts';
import { type Platform, startPlatform } from './support/platform.ts';

const NAMESPACE = '/api/v1/namespaces/default';
const FUNCTIONS = '/apis/fission.io/v1/namespaces/default/functions';

describe.each(['component', 'jco'])('engine %s', (engine) => {
  let platform: Platform;
  let api: ApiClient;
  let folder: string;

  beforeAll(async () => {
    platform = await startPlatform({ args: ['--engine', engine] });
    api = await ApiClient.from(platform.kubeconfig);
    folder = await mkdtemp(join(tmpdir(), 'fissium-files-'));
    await mkdir(join(folder, 'templates'));
    await writeFile(join(folder, 'templates/page.html'), '<h1>page</h1>');
    await writeFile(join(folder, 'data.bin'), Buffer.alloc(300_000, 7));
    await writeFile(join(folder, 'function.wasm'), await readFile(guest('files')));
    for (const [kind, name, fields] of [
      ['secrets', 'db', { stringData: { password: 'secret', user: 'me' } }],
      ['configmaps', 'app', { data: { color: 'blue', size: '3' }, binaryData: { raw: '/wA=' } }],
      ['configmaps', 'more', { data: { color: 'red' } }],
    ] as const) {
      const { code } = await api.post(`${NAMESPACE}/${kind}`, {
        apiVersion: 'v1',
        kind: kind === 'secrets' ? 'Secret' : 'ConfigMap',
        metadata: { name },
        ...fields,
      });
      if (code !== 201) throw new Error(`${kind} ${name}: ${code}`);
    }
    const archives = ['templates', 'data.bin', 'function.wasm'].flatMap((path) => ['--deployarchive', path]);
    const granted = ['--secret', 'db', '--configmap', 'app', '--configmap', 'more'];
    await deploy('files', [...archives, ...granted]);
    await deploy('plain', ['--code', guest('files')]);
  });
  afterAll(async () => {
    api.close();
    await platform.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function deploy(name: string, args: readonly string[]): Promise<void> {
    const create = ['function', 'create', '--name', name, '--env', 'wasm'];
    const created = await platform.cli([...create, ...args], { cwd: folder });
    expect(created.code, created.stderr).toBe(0);
    expect(created.stderr).not.toContain('not served');
    const route = ['route', 'create', '--name', name, '--function', name, '--prefix', `/${name}`];
    const routed = await platform.cli(route);
    expect(routed.code, routed.stderr).toBe(0);
  }

  async function get(path: string): Promise<string> {
    const answer = await fetch(platform.router + path);
    return `${answer.status} ${await answer.text()}`.trimEnd();
  }

  async function eventually(path: string, wanted: string): Promise<void> {
    await expect.poll(() => get(path), { timeout: 20_000, interval: 50 }).toBe(wanted);
  }

  async function ready(name: string): Promise<unknown> {
    const { body } = await api.get(`${FUNCTIONS}/${name}`);
    const { conditions = [] } = (body['status'] ?? {}) as { conditions?: Record<string, unknown>[] };
    const found = conditions.find(({ type }) => type === 'Ready');
    return `${String(found?.['status'])} ${String(found?.['reason'])}`;
  }

  test.each(FILE_CASES)('$name', async (item) => {
    expect(await answerOf(`${platform.router}/files`, item)).toEqual(item.expect);
  });

  test('a file is read whole, byte for byte', async () => {
    const answer = await fetch(`${platform.router}/files/read?path=data.bin`);
    expect(Buffer.from(await answer.arrayBuffer()).equals(Buffer.alloc(300_000, 7))).toBe(true);
  });

  test('/tmp takes what a program does, and is empty again in the next request', async () => {
    for (let i = 0; i < 4; i += 1) expect(await get('/files/scratch')).toBe('200 0 345--8 1');
    expect(await get('/files/write?path=/tmp/mine')).toBe('200 written');
    expect(await get('/files/list?path=/tmp')).toBe('200');
  });

  test('/tmp has an end, in bytes and in names, and the next request has all of it again', async () => {
    for (let i = 0; i < 3; i += 1) {
      expect(await get('/files/fill')).toMatch(/^200 16777216 /);
      expect(await get('/files/hoard')).toBe('200 4095 QuotaExceeded');
    }
  });

  test('a function that was granted nothing finds nothing but /tmp', async () => {
    expect(await get('/plain/list?path=/')).toBe('200 tmp/');
    expect(await get('/plain/read?path=/secrets/default/db/password')).toBe('404 NotFound Some(44)');
    expect(await get('/plain/read?path=templates/page.html')).toBe('404 NotFound Some(44)');
    expect(await get('/plain/config?key=color')).toBe('404 NotFound None');
    expect(await get('/plain/scratch')).toBe('200 0 345--8 1');
  });

  test('stores and sockets link, and are refused', async () => {
    expect(await get('/plain/keyvalue')).toBe('200 Some(Error::NoSuchStore)');
    expect(await get('/plain/sockets')).toBe(`200${' PermissionDenied'.repeat(4)}`);
  });

  test('a changed secret or config map is there by itself, and a missing one is a condition', async () => {
    const patch = (path: string, body: unknown): Promise<unknown> => api.patch(`${NAMESPACE}/${path}`, body);
    await patch('secrets/db', { stringData: { password: 'changed' } });
    await eventually('/files/read?path=/secrets/default/db/password', '200 changed');
    await patch('configmaps/more', { data: { color: 'green' } });
    await eventually('/files/config?key=color', '200 green');

    await api.delete(`${NAMESPACE}/secrets/db`);
    await expect.poll(() => ready('files'), { timeout: 20_000 }).toBe('False SecretNotFound');
    // What was deployed serves on.
    expect(await get('/files/read?path=templates/page.html')).toBe('200 <h1>page</h1>');
    await api.post(`${NAMESPACE}/secrets`, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'db' },
      stringData: { password: 'again' },
    });
    await eventually('/files/read?path=/secrets/default/db/password', '200 again');
    await expect.poll(() => ready('files'), { timeout: 20_000 }).toBe('True Deployed');
  });
});

test('an instance that is reused keeps its /tmp', async () => {
  const platform = await startPlatform({ workers: 1 });
  try {
    const name = ['--name', 'kept'];
    const code = ['--code', guest('files'), '--env', 'wasm', '--instance', 'reuse'];
    const created = await platform.cli(['function', 'create', ...name, ...code]);
    expect(created.code, created.stderr).toBe(0);
    await platform.cli(['route', 'create', ...name, '--function', 'kept', '--prefix', '/kept']);
    const get = async (path: string): Promise<string> =>
      (await fetch(`${platform.router}/kept/${path}`)).text();
    // An answer may be read before its instance is back, and the next request then has a second one: both files are
    // written until one instance has seen them. A clean instance would never list any.
    const writeAndList = async (): Promise<string> => {
      for (const name of ['a', 'b']) expect(await get(`write?path=/tmp/${name}&text=1`)).toBe('written\n');
      return get('list?path=/tmp');
    };
    await expect.poll(writeAndList, { timeout: 10_000 }).toBe('a\nb\n');
  } finally {
    await platform.stop();
  }
});
