/** Builds over our own fetcher, builder and storage servers; the test is the kubelet. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type Environment, type Package, resolveEnvironment } from '../../api/index.ts';
import { deriveServiceKey, RequestVerifier } from '../../auth/internal-auth.ts';
import { storageSigner } from '../../fetcher/download.ts';
import { Fetcher } from '../../fetcher/fetcher.ts';
import { createFetcherHandler } from '../../fetcher/server.ts';
import { type KubeClient, type KubeObject, RESOURCES } from '../../kube/index.ts';
import { eventually } from '../../kube/testing/eventually.ts';
import { SmallApi } from '../../kube/testing/small-api.ts';
import { ArchiveStore, createStorageHandler, FolderStorage } from '../../packages/index.ts';
import { extractArchive } from '../../packages/extract.ts';
import { writeZip } from '../../packages/zip.ts';
import type { BuildRequest } from '../builder.ts';
import { createBuilderHandler } from '../server.ts';
import type { BuilderDeployment } from './builder-objects.ts';
import { PodBuilder, type PodBuilderOptions } from './pod-builder.ts';

const logger = pino({ level: 'silent' });
const SECRET = 'the installation’s';
const GOOD = '#!/bin/sh\nmkdir "$DEPLOY_PKG"\ncp "$SRC_PKG/word" "$DEPLOY_PKG/main.py"\necho "made it"\n';

let folder: string;
let shared: string;
let api: SmallApi;
let client: KubeClient;
let storageUrl: string;
let builder: PodBuilder | undefined;
let servers: Server[];
let builderServer: Server;

async function listen(handle: Parameters<typeof createServer>[1]): Promise<Server> {
  const server = createServer(handle);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

async function start(
  authSecret: string | null = null,
  options: Partial<PodBuilderOptions> = {},
): Promise<PodBuilder> {
  const verifier = (service: 'fetcher' | 'builder'): RequestVerifier | null =>
    authSecret === null
      ? null
      : new RequestVerifier({ keys: [deriveServiceKey(authSecret, service, 'team')] });
  const fetcher = new Fetcher({
    client: () => Promise.reject(new Error('it has no access to the API')),
    logger,
    sharedFolder: shared,
    secretFolder: join(folder, 'secrets'),
    configFolder: join(folder, 'configs'),
    signer: storageSigner({}, 'team'),
  });
  const fetch = createFetcherHandler({
    fetcher,
    logger,
    version: '1',
    ready: () => true,
    verifier: verifier('fetcher'),
  });
  const build = createBuilderHandler({
    sharedFolder: shared,
    logger,
    version: '1',
    timeoutMs: 30_000,
    env: { PATH: process.env['PATH'] ?? '' },
    verifier: verifier('builder'),
  });
  const fetcherServer = await listen((request, response) => void fetch(request, response));
  builderServer = await listen((request, response) => void build(request, response));
  builder = await PodBuilder.start({
    client,
    logger,
    namespaces: ['team'],
    image: 'localhost/fissium:dev',
    storageUrl,
    ports: { fetcher: portOf(fetcherServer), builder: portOf(builderServer) },
    patienceMs: 1,
    ...options,
    authSecret,
  });
  return builder;
}

beforeEach(async () => {
  servers = [];
  folder = await mkdtemp(join(tmpdir(), 'fissium-pod-builder-'));
  shared = join(folder, 'packages');
  await mkdir(shared);
  api = await SmallApi.start();
  client = api.client();
  const store = await ArchiveStore.open(join(folder, 'storage'));
  const handler = createStorageHandler({ storage: new FolderStorage(store), logger });
  const storage = await listen((request, response) => void handler(request, response));
  storageUrl = `http://localhost:${portOf(storage)}`;
  await client.create<Environment>(RESOURCES.environments, environmentOf('fission/python-builder'));
});
afterEach(async () => {
  await builder?.close();
  builder = undefined;
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  client.close();
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

function environmentOf(image: string): Environment {
  return {
    apiVersion: 'fission.io/v1',
    kind: 'Environment',
    metadata: { namespace: 'team', name: 'python' },
    spec: { version: 3, runtime: { image: 'fission/python-env' }, builder: { image } },
  };
}

async function sourceOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const at = await mkdtemp(join(folder, 'source-'));
  const entries = Object.keys(files).map((name) => ({ name, path: join(at, name) }));
  for (const { name, path } of entries) await writeFile(path, files[name] ?? '', { mode: 0o755 });
  await writeZip(join(at, '.zip'), entries);
  return readFile(join(at, '.zip'));
}

async function requestFor(
  name: string,
  files: Readonly<Record<string, string>>,
  sum?: string,
): Promise<BuildRequest> {
  const source = await sourceOf(files);
  const pkg = await client.create<Package>(RESOURCES.packages, {
    apiVersion: 'fission.io/v1',
    kind: 'Package',
    metadata: { namespace: 'team', name },
    spec: {
      environment: { namespace: 'team', name: 'python' },
      source: {
        type: 'literal',
        literal: source.toString('base64'),
        ...(sum === undefined ? {} : { checksum: { type: 'sha256', sum } }),
      },
    },
  });
  const resolved = resolveEnvironment(environmentOf('fission/python-builder'));
  if (resolved.builder === null) throw new Error('no builder');
  return {
    namespace: 'team',
    name,
    uid: pkg.metadata.uid ?? '',
    environment: { ...resolved, builder: resolved.builder },
    command: './build.sh',
    source: () => Promise.reject(new Error('the builder fetches it itself')),
    signal: new AbortController().signal,
  };
}

async function deployment(): Promise<BuilderDeployment> {
  return eventually('a Deployment', async () => {
    const { items } = await client.list<BuilderDeployment>(RESOURCES.deployments, 'team');
    return items[0];
  });
}

const READY = {
  phase: 'Running',
  podIP: '127.0.0.1',
  conditions: [{ type: 'Ready', status: 'True' }],
  containerStatuses: [{ name: 'builder', ready: true, restartCount: 0 }],
};

async function pod(name: string, status: object): Promise<KubeObject> {
  const { spec } = await deployment();
  const { labels = {}, annotations = {} } = spec.template.metadata ?? {};
  return client.create(RESOURCES.pods, {
    metadata: { namespace: 'team', name, labels, annotations },
    status,
  } as KubeObject);
}

describe('a builder in a pod', () => {
  it('makes the Deployment, waits for its pod, and brings what was built to the storage service', async () => {
    const request = await requestFor('hello', { 'build.sh': GOOD, word: 'one' });
    const building = (await start()).build(request);
    await pod('a', READY);
    const { url, digest, log } = await building;
    expect(log).toBe('made it\n');
    const archive = Buffer.from(await (await fetch(url)).arrayBuffer());
    expect(createHash('sha256').update(archive).digest('hex')).toBe(digest);
    await writeFile(join(folder, 'built.zip'), archive);
    await extractArchive(join(folder, 'built.zip'), join(folder, 'built'));
    expect(await readFile(join(folder, 'built', 'main.py'), 'utf8')).toBe('one');
    await eventually('the volume is clean', async () =>
      (await readdir(shared)).every((name) => name.startsWith('.')),
    );
  });

  it('signs what it asks with the keys of the namespace, which the pod gets as a Secret', async () => {
    const request = await requestFor('hello', { 'build.sh': GOOD, word: 'one' });
    const building = (await start(SECRET)).build(request);
    await pod('a', READY);
    expect((await building).log).toBe('made it\n');
    const { data } = await client.get<KubeObject & { data: Record<string, string> }>(
      RESOURCES.secrets,
      'team',
      'fissium-builder-keys',
    );
    const key = deriveServiceKey(SECRET, 'builder', 'team').toString('hex');
    expect(Buffer.from(data['FISSION_BUILDER_KEY'] ?? '', 'base64').toString()).toBe(key);
  });

  it('says what a build said that failed', async () => {
    const script = '#!/bin/sh\necho first\necho "no such module" >&2\nexit 3\n';
    const request = await requestFor('hello', { 'build.sh': script });
    const building = (await start()).build(request);
    building.catch(() => {});
    await pod('a', READY);
    await expect(building).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: 'The build failed: ./build.sh ended with exit code 3 (no such module).',
      log: expect.stringMatching(/^first\nno such module\nThe build failed: /) as unknown,
    });
  });

  it('says that nothing was built, behind the log', async () => {
    const request = await requestFor('hello', { 'build.sh': '#!/bin/sh\necho done\n' });
    const building = (await start()).build(request);
    building.catch(() => {});
    await pod('a', READY);
    await expect(building).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      log: expect.stringMatching(/^done\n.*DEPLOY_PKG/s) as unknown,
    });
  });

  it('refuses a source that is not what its checksum says', async () => {
    const request = await requestFor('hello', { 'build.sh': GOOD }, '0'.repeat(64));
    const building = (await start()).build(request);
    building.catch(() => {});
    await pod('a', READY);
    await expect(building).rejects.toMatchObject({
      code: 'ARCHIVE_REFUSED',
      message: expect.stringContaining('sha256') as unknown,
    });
  });

  it('builds one source of an environment after another', async () => {
    const script = `#!/bin/sh
mkdir "${folder}/lock" || exit 1
sleep 0.05
rmdir "${folder}/lock"
${GOOD.slice('#!/bin/sh\n'.length)}`;
    const requests = await Promise.all(
      ['a', 'b', 'c'].map((name) => requestFor(name, { 'build.sh': script, word: name })),
    );
    const started = await start();
    const building = Promise.all(requests.map((request) => started.build(request)));
    await pod('a', READY);
    expect((await building).map(({ log }) => log)).toEqual(['made it\n', 'made it\n', 'made it\n']);
  });

  it('says why a builder does not start', async () => {
    const request = await requestFor('hello', { 'build.sh': GOOD });
    const building = (await start()).build(request);
    building.catch(() => {});
    const waiting = { reason: 'ErrImagePull', message: 'not found' };
    await pod('a', {
      phase: 'Pending',
      containerStatuses: [{ name: 'builder', image: 'fission/python-builder', state: { waiting } }],
    });
    await expect(building).rejects.toMatchObject({
      code: 'BUILDER_UNREACHABLE',
      message: expect.stringMatching(/fission\/python-builder .*ErrImagePull/) as unknown,
    });
  });

  it('says how long it waited for one that nothing is known of', async () => {
    const request = await requestFor('hello', { 'build.sh': GOOD });
    const building = (await start(null, { startTimeoutMs: 20 })).build(request);
    await expect(building).rejects.toMatchObject({
      code: 'BUILDER_UNREACHABLE',
      message: expect.stringContaining('not ready within 0.02 s') as unknown,
    });
  });

  it('says how a builder ended in the middle of a build, and that is no fault of the source', async () => {
    const script = `#!/bin/sh\ntouch "${folder}/begun"\nexec sleep 60\n`;
    const request = await requestFor('hello', { 'build.sh': script });
    const building = (await start()).build(request);
    building.catch(() => {});
    const made = await pod('a', READY);
    await eventually('the build has begun', async () => (await readdir(folder)).includes('begun'));
    builderServer.closeAllConnections();
    builderServer.close();
    const lastState = { terminated: { reason: 'OOMKilled', exitCode: 137 } };
    await client.patchStatus(RESOURCES.pods, 'team', made.metadata.name, {
      status: { containerStatuses: [{ name: 'builder', ready: false, restartCount: 1, lastState }] },
    });
    await expect(building).rejects.toMatchObject({
      code: 'BUILDER_UNREACHABLE',
      message: expect.stringMatching(
        /went away.*builder used more memory.*spec\.builder\.container\.resources/,
      ) as unknown,
    });
  });

  it('ends a build that takes too long', async () => {
    const request = await requestFor('hello', { 'build.sh': '#!/bin/sh\nexec sleep 60\n' });
    const building = (await start(null, { timeoutMs: 300 })).build(request);
    building.catch(() => {});
    await pod('a', READY);
    await expect(building).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: 'The build took longer than 0.3 s and was ended.',
    });
  });

  it('takes the builder away when the environment has none any more', async () => {
    const started = await start();
    const environment = await client.get<Environment>(RESOURCES.environments, 'team', 'python');
    await started.reconcileEnvironment(environment);
    await deployment();
    const spec = { ...environment.spec };
    delete spec.builder;
    const left = await eventually('it is gone', async () => {
      await started.reconcileEnvironment({ ...environment, spec });
      const { items } = await client.list(RESOURCES.deployments, 'team');
      return items.length === 0 ? items : undefined;
    });
    expect(left).toEqual([]);
  });
});
