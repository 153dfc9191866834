/** The fetcher over a real API server, a real storage service and our own Node runtime. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Package } from '../api/index.ts';
import { deriveServiceKey, serviceVerifier, signedHeaders } from '../auth/internal-auth.ts';
import type { KubeClient } from '../kube/client.ts';
import { RESOURCES } from '../kube/resources.ts';
import { SmallApi } from '../kube/testing/small-api.ts';
import { ArchiveStore, createStorageHandler, FolderStorage } from '../packages/index.ts';
import { writeZip } from '../packages/zip.ts';
import { FETCH_TYPES, type FetchRequest, type LoadRequest } from './contract.ts';
import { storageSigner } from './download.ts';
import { Fetcher } from './fetcher.ts';
import { createFetcherHandler } from './server.ts';

const SECRET = 'the installation’s';
const logger = pino({ level: 'silent' });
const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

let folder: string;
let shared: string;
let api: SmallApi;
let client: KubeClient;
let runtime: Server;
/** What the runtime was asked, and how it answers. */
let loads: { path: string; body: string }[];
let answer: { status: number; text: string };
let storageUrl: string;
let url: string;
const servers: Server[] = [];

async function listen(server: Server): Promise<string> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://localhost:${(server.address() as AddressInfo).port}`;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-fetcher-'));
  shared = join(folder, 'userfunc');
  api = await SmallApi.start();
  client = api.client();
  loads = [];
  answer = { status: 200, text: '' };
  runtime = createServer((request, response) => {
    void textOf(request).then((body) => {
      loads.push({ path: request.url ?? '', body });
      response.writeHead(answer.status).end(answer.text);
    });
  });
  const runtimeUrl = await listen(runtime);
  const handler = createStorageHandler({
    storage: new FolderStorage(await ArchiveStore.open(join(folder, 'storage'))),
    logger,
  });
  storageUrl = await listen(createServer((request, response) => void handler(request, response)));
  const fetcher = new Fetcher({
    client: () => Promise.resolve(client),
    logger,
    sharedFolder: shared,
    secretFolder: join(folder, 'secrets'),
    configFolder: join(folder, 'configs'),
    runtimeUrl,
    signer: storageSigner({}, 'default'),
  });
  const handle = createFetcherHandler({ fetcher, logger, version: '1', ready: () => true });
  url = await listen(createServer((request, response) => void handle(request, response)));
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  client.close();
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

async function createPackage(spec: Partial<Package['spec']>, name = 'code'): Promise<void> {
  await client.create<Package>(RESOURCES.packages, {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { name, namespace: 'default' },
    spec: { environment: { name: 'node', namespace: 'default' }, ...spec },
  });
}

const literal = (text: string) => ({
  type: 'literal' as const,
  literal: Buffer.from(text).toString('base64'),
});

function fetchRequest(more: Partial<FetchRequest> = {}): FetchRequest {
  return {
    fetchType: FETCH_TYPES.deployment,
    package: { namespace: 'default', name: 'code' },
    filename: 'deployarchive',
    ...more,
  };
}

function loadRequest(more: Partial<LoadRequest> = {}): LoadRequest {
  const FunctionMetadata = { name: 'hello', namespace: 'default' };
  return {
    filepath: `${shared}/deployarchive`,
    functionName: 'a.b',
    url: '',
    FunctionMetadata,
    envVersion: 3,
    ...more,
  };
}

async function post(path: string, body: unknown): Promise<{ status: number; text: string }> {
  const response = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) });
  return { status: response.status, text: await response.text() };
}

const specialize = (fetchMore: Partial<FetchRequest> = {}, loadMore: Partial<LoadRequest> = {}) =>
  post('/specialize', { FetchReq: fetchRequest(fetchMore), LoadReq: loadRequest(loadMore) });

describe('/specialize', () => {
  it("brings a literal and has the runtime load it, with Fission's body", async () => {
    await createPackage({ deployment: literal('module.exports = 1') });
    expect(await specialize()).toEqual({ status: 200, text: '' });
    expect(await readFile(join(shared, 'deployarchive'), 'utf8')).toBe('module.exports = 1');
    expect(loads.map(({ path }) => path)).toEqual(['/v2/specialize']);
    expect(JSON.parse(loads[0]?.body ?? '')).toEqual(loadRequest());
  });

  it('needs no API where the request brings the archive along', async () => {
    await api.close();
    const archive = literal('from the request');
    expect((await specialize({ archive })).status).toBe(200);
    expect(await readFile(join(shared, 'deployarchive'), 'utf8')).toBe('from the request');
  });

  it('calls environments of version 1 without a body', async () => {
    await createPackage({ deployment: literal('x') });
    await specialize({ filename: 'user' }, { envVersion: 1 });
    expect(loads).toEqual([{ path: '/specialize', body: '' }]);
  });

  it('answers what the runtime said where it cannot load the code', async () => {
    await createPackage({ deployment: literal('x') });
    answer = { status: 500, text: 'SyntaxError in line 1' };
    const { status, text } = await specialize();
    expect([status, text]).toEqual([500, 'The runtime could not load the function: SyntaxError in line 1']);
  });

  it('waits for a runtime that does not listen yet', async () => {
    await createPackage({ deployment: literal('x') });
    const { port } = runtime.address() as AddressInfo;
    runtime.close();
    const specializing = specialize();
    const late = createServer((_, response) => response.end()).listen(port, '127.0.0.1');
    servers.push(late);
    expect((await specializing).status).toBe(200);
  });

  it('resolves environment variables from secrets and config maps, and hands them over', async () => {
    await createPackage({ deployment: literal('x') });
    const data = { PASSWORD: Buffer.from('hush').toString('base64') };
    await client.create(RESOURCES.secrets, { metadata: { name: 'db', namespace: 'default' }, data });
    await client.create(RESOURCES.configmaps, {
      metadata: { name: 'c', namespace: 'default' },
      data: { A: 'a' },
    });
    const { status } = await specialize({
      env: [{ name: 'DB', valueFrom: { secretKeyRef: { name: 'db', key: 'PASSWORD' } } }],
      envFrom: [{ configMapRef: { name: 'c' }, prefix: 'X_' }],
    });
    expect(status).toBe(200);
    expect((JSON.parse(loads[0]?.body ?? '') as LoadRequest).env).toEqual({ DB: 'hush', X_A: 'a' });

    const missing = await specialize({
      filename: 'other',
      env: [{ name: 'DB', valueFrom: { secretKeyRef: { name: 'db', key: 'nothing' } } }],
    });
    expect([missing.status, missing.text]).toEqual([404, expect.stringContaining('no such key')]);
    expect(loads).toHaveLength(1);
  });
});

describe('/fetch', () => {
  it('unpacks zips, checks their sums, and keeps them where it is told to', async () => {
    await writeFile(join(folder, 'main.py'), 'def main(): pass');
    const zip = join(folder, 'code.zip');
    await writeZip(zip, [{ path: join(folder, 'main.py'), name: 'pkg/main.py' }]);
    const bytes = await readFile(zip);
    const store = await ArchiveStore.open(join(folder, 'storage'));
    const { digest } = await store.put(bytes);
    const address = `${storageUrl}/v1/archive?id=${digest}`;
    await createPackage({ source: { type: 'url', url: address, checksum: { type: 'sha256', sum: digest } } });
    const request = fetchRequest({ fetchType: FETCH_TYPES.source, filename: 'src-1' });
    expect((await post('/fetch', request)).status).toBe(200);
    const file = join(shared, 'src-1', 'pkg', 'main.py');
    expect(await readFile(file, 'utf8')).toBe('def main(): pass');
    // The runtime is another user.
    expect((await stat(file)).mode & 0o444).toBe(0o444);
    await post('/fetch', { ...request, filename: 'kept', keeparchive: true });
    expect(await readFile(join(shared, 'kept'))).toEqual(bytes);

    await createPackage(
      { deployment: { url: address, checksum: { type: 'sha256', sum: '0'.repeat(64) } } },
      'wrong',
    );
    const wrong = await post('/fetch', fetchRequest({ package: { namespace: 'default', name: 'wrong' } }));
    expect([wrong.status, wrong.text]).toEqual([
      422,
      expect.stringContaining(`its checksum is ${'0'.repeat(64)}`),
    ]);
    expect(await readdir(shared)).toEqual(expect.not.arrayContaining(['deployarchive']));
    expect(await readdir(join(shared, '.fissium-fetcher'))).toEqual([]);
  });

  it('tries again while the storage is away, not what is wrong for good', async () => {
    let calls = 0;
    const flaky = await listen(
      createServer((_, response) => {
        calls += 1;
        response.writeHead(calls < 3 ? 503 : 200).end('code');
      }),
    );
    const at = fetchRequest({ fetchType: FETCH_TYPES.url, url: `${flaky}/code`, filename: 'a' });
    expect((await post('/fetch', at)).status).toBe(200);
    expect(calls).toBe(3);
    const gone = await listen(createServer((_, response) => response.writeHead(404).end()));
    const missing = await post('/fetch', { ...at, url: `${gone}/code`, filename: 'b' });
    expect([missing.status, missing.text]).toEqual([
      404,
      `${gone}/code answered 404 instead of the archive.`,
    ]);
  });

  it("writes secrets and config maps where Fission's functions look for them", async () => {
    await createPackage({ deployment: literal('x') });
    const data = { key: Buffer.from([0, 255]).toString('base64') };
    await client.create(RESOURCES.secrets, { metadata: { name: 's', namespace: 'default' }, data });
    await client.create(RESOURCES.configmaps, {
      metadata: { name: 'c', namespace: 'default' },
      data: { a: 'text' },
      binaryData: { b: Buffer.from([1]).toString('base64') },
    });
    const configMapList = [{ namespace: 'default', name: 'c', mountPath: 'my/conf' }];
    const secretList = [{ namespace: 'default', name: 's' }];
    expect((await post('/fetch', fetchRequest({ secretList, configMapList }))).status).toBe(200);
    expect(await readFile(join(folder, 'secrets/default/s/key'))).toEqual(Buffer.from([0, 255]));
    expect(await readFile(join(folder, 'configs/my/conf/a'), 'utf8')).toBe('text');
    expect(await readFile(join(folder, 'configs/my/conf/b'))).toEqual(Buffer.from([1]));

    const outside = await post(
      '/fetch',
      fetchRequest({
        secretList: [{ namespace: 'default', name: 's', mountPath: '../x' }],
      }),
    );
    expect(outside.status).toBe(400);
    const missing = await post(
      '/fetch',
      fetchRequest({ secretList: [{ namespace: 'default', name: 'none' }] }),
    );
    expect([missing.status, missing.text]).toEqual([404, expect.stringContaining('secret default/none')]);
    await client.create(RESOURCES.secrets, { metadata: { name: 't', namespace: 'default' }, data });
    const twice = await post(
      '/fetch',
      fetchRequest({
        secretList: [
          { namespace: 'default', name: 's' },
          { namespace: 'default', name: 't', mountPath: 'default/s' },
        ],
      }),
    );
    expect([twice.status, twice.text]).toEqual([500, expect.stringContaining('would overwrite')]);
  });

  it('refuses what is no request', async () => {
    const cases: [unknown, string][] = [
      [[], 'the body must be an object'],
      [{ ...fetchRequest(), fetchType: 7 }, 'fetchType must be 0, 1 or 2'],
      [{ ...fetchRequest(), filename: '../x' }, 'stays inside'],
      [{ ...fetchRequest(), filename: '' }, 'stays inside'],
    ];
    for (const [body, message] of cases) {
      const { status, text } = await post('/fetch', body);
      expect([status, text]).toEqual([400, expect.stringContaining(message)]);
    }
    expect((await fetch(`${url}/fetch`)).status).toBe(405);
    expect((await post('/nothing', {})).status).toBe(404);
    const none = await post('/fetch', fetchRequest({ package: { namespace: 'default', name: 'none' } }));
    expect([none.status, none.text]).toEqual([404, 'There is no Package default/none.']);
    await createPackage({ source: literal('x') }, 'unbuilt');
    const unbuilt = await post(
      '/fetch',
      fetchRequest({ package: { namespace: 'default', name: 'unbuilt' } }),
    );
    expect([unbuilt.status, unbuilt.text]).toEqual([500, expect.stringContaining('build status is pending')]);
  });

  it('tells that it is there', async () => {
    for (const path of ['/healthz', '/readiness-healthz', '/readniess-healthz', '/wakeup', '/version']) {
      expect((await fetch(url + path)).status, path).toBe(200);
    }
  });
});

describe('/upload', () => {
  it('takes what was built to the storage service, and away from the volume', async () => {
    const built = join(shared, 'src-1-abc');
    await mkdir(join(built, 'lib'), { recursive: true });
    await writeFile(join(built, 'lib', 'a.js'), 'a');
    await symlink('lib/a.js', join(built, 'link.js'));
    const { status, text } = await post('/upload', {
      filename: 'src-1-abc',
      storagesvcurl: storageUrl,
      archivepackage: true,
    });
    expect(status).toBe(200);
    const { archiveDownloadUrl, checksum } = JSON.parse(text) as {
      archiveDownloadUrl: string;
      checksum: { type: string; sum: string };
    };
    expect(archiveDownloadUrl).toBe(`${storageUrl}/v1/archive?id=${checksum.sum}`);
    const bytes = new Uint8Array(await (await fetch(archiveDownloadUrl)).arrayBuffer());
    expect(sha256(bytes)).toBe(checksum.sum);
    expect(await readdir(shared)).toEqual(expect.not.arrayContaining(['src-1-abc']));
    const again = await post('/upload', {
      filename: 'src-1-abc',
      storagesvcurl: storageUrl,
      archivepackage: true,
    });
    expect([again.status, again.text]).toEqual([422, expect.stringContaining('made nothing')]);
  });
});

describe('a fetcher of an installation with a secret', () => {
  it('takes signed requests only, and its health is asked without', async () => {
    const fetcher = new Fetcher({
      client: () => Promise.resolve(client),
      logger,
      sharedFolder: shared,
      secretFolder: join(folder, 'secrets'),
      configFolder: join(folder, 'configs'),
      signer: storageSigner({}, 'default'),
    });
    const handle = createFetcherHandler({
      fetcher,
      logger,
      version: '1',
      ready: () => false,
      verifier: serviceVerifier('fetcher', [SECRET]),
    });
    const base = await listen(createServer((request, response) => void handle(request, response)));
    await createPackage({ deployment: literal('x') });
    const body = JSON.stringify(fetchRequest());
    expect((await fetch(`${base}/fetch`, { method: 'POST', body })).status).toBe(401);
    const key = deriveServiceKey(SECRET, 'fetcher');
    const headers = signedHeaders(key, { method: 'POST', uri: '/fetch', bodyDigest: sha256(body) });
    expect((await fetch(`${base}/fetch`, { method: 'POST', body, headers })).status).toBe(200);
    expect((await fetch(`${base}/fetch`, { method: 'POST', body: `${body} `, headers })).status).toBe(401);
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    expect((await fetch(`${base}/readiness-healthz`)).status).toBe(503);
  });

  it('signs what it asks of the storage service, and nothing that goes elsewhere', () => {
    const signer = storageSigner({ FISSION_INTERNAL_AUTH_SECRET: SECRET }, 'team');
    const own = new URL('http://storagesvc.fission/v1/archive?id=x');
    expect(Object.keys(signer({ method: 'GET', url: own }))).toHaveLength(2);
    for (const other of ['http://evil.example/v1/archive?id=x', 'http://storagesvc.fission/other']) {
      expect(signer({ method: 'GET', url: new URL(other) })).toEqual({});
    }
    const tenant = storageSigner({ FISSION_STORAGE_KEY: '00ff' }, 'team');
    expect(tenant({ method: 'GET', url: own })).toMatchObject({ 'x-fission-auth-namespace': 'team' });
  });
});
