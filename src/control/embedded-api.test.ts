/** The control loops against the embedded Kubernetes API, over HTTPS, as in `fissium up`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { startApiServer, type ApiServer } from '../apiserver/server.ts';
import type { FissionFunction, HttpTrigger } from '../api/index.ts';
import {
  Informer,
  KubeClient,
  type KubeObject,
  loadKubeConfig,
  RESOURCES,
  type ResourceType,
} from '../kube/index.ts';
import { eventually } from '../kube/testing/eventually.ts';
import { ArchiveStore } from '../packages/index.ts';
import { FunctionTable, RouteTable } from '../router/index.ts';
import { type Control, ensureDefaults, startControl } from './index.ts';
import {
  CountingHost,
  CountingPreparer,
  fn,
  pkg,
  trigger,
  wasm,
  type WithConditions,
} from './testing/platform.ts';

const logger = pino({ level: 'silent' });
const { functions, httptriggers, packages, environments, configmaps, events } = RESOURCES;

let dataDir: string;
let api: ApiServer;
let client: KubeClient;
let control: Control | undefined;
let table: FunctionTable;
let routes: RouteTable;
let host: CountingHost;

async function startApi(): Promise<void> {
  api = await startApiServer({ dataDir, port: 0 }, logger);
  client = new KubeClient(await loadKubeConfig(api.kubeconfigPath));
}

async function start(): Promise<Control> {
  table = new FunctionTable();
  routes = new RouteTable();
  host = new CountingHost();
  const archives = await ArchiveStore.open(join(dataDir, 'archives'));
  control = await startControl({
    client,
    functions: table,
    routes,
    host,
    preparer: new CountingPreparer(),
    archives,
    logger,
  });
  return control;
}

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'fissium-embedded-'));
  await startApi();
});
afterEach(async () => {
  await control?.close();
  control = undefined;
  client.close();
  await api.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function ready(type: ResourceType, name: string, reason: string): Promise<WithConditions> {
  return eventually(`${type.kind} ${name}: ${reason}`, async () => {
    const object = await client.get<WithConditions>(type, 'default', name).catch(() => undefined);
    const condition = object?.status?.conditions?.find(({ type: t }) => t === 'Ready');
    const isCurrent = condition?.observedGeneration === object?.metadata.generation;
    return condition?.reason === reason && isCurrent ? object : undefined;
  });
}

it('deploys, updates, refuses, restarts and removes', async () => {
  await ensureDefaults(client);
  await start();
  await client.create(packages, pkg('hello-pkg') as KubeObject);
  await client.create(functions, fn('hello', { route: { url: '/hi', methods: ['GET'] } }) as KubeObject);
  await client.create(httptriggers, trigger('t', 'hello') as KubeObject);
  await ready(environments, 'wasm', 'Wasm');
  await ready(functions, 'hello', 'Deployed');
  await ready(httptriggers, 't', 'Served');
  await ready(httptriggers, 'hello', 'Served');
  expect(routes.match('x', '/hi', 'GET').kind).toBe('found');

  const literal = Buffer.from('print(1)').toString('base64');
  await client.patchMerge(packages, 'default', 'hello-pkg', { spec: { deployment: { literal } } });
  const failed = await ready(functions, 'hello', 'PackageFailed');
  expect(JSON.stringify(failed.status)).toContain('still serves');
  expect(table.get('default', 'hello')?.state.phase).toBe('ready');
  const again = wasm('again').toString('base64');
  await client.patchMerge(packages, 'default', 'hello-pkg', { spec: { deployment: { literal: again } } });
  await ready(functions, 'hello', 'Deployed');

  await control?.close();
  await (await start()).synced();
  expect(table.get('default', 'hello')?.state.phase).toBe('ready');
  expect(routes.match('x', '/t', 'GET').kind).toBe('found');

  const owned = await client.get<HttpTrigger>(httptriggers, 'default', 'hello');
  expect(owned.metadata.ownerReferences).toHaveLength(1);
  await client.remove(functions, 'default', 'hello');
  await eventually('the entry gone', () => table.get('default', 'hello') === undefined);
  // The server's garbage collector takes what the function owned.
  await eventually('the owned route gone', () => routes.match('x', '/hi', 'GET').kind === 'not-found');
  const { items } = await client.list<KubeObject & { reason: string }>(events, 'default');
  expect(items.map(({ reason }) => reason)).toEqual(
    expect.arrayContaining(['Deployed', 'PackageFailed', 'RouteCreated']),
  );
});

it('comes through a restart of the API server on the same port', async () => {
  await ensureDefaults(client);
  await start();
  await client.create(packages, pkg('hello-pkg') as KubeObject);
  await client.create(functions, fn('hello') as KubeObject);
  await ready(functions, 'hello', 'Deployed');
  const { port } = api;
  await api.close();
  api = await startApiServer({ dataDir, port }, logger);
  await client.patchMerge<FissionFunction>(functions, 'default', 'hello', { spec: { functionTimeout: 5 } });
  await eventually('the new limit', () => table.get('default', 'hello')?.limits.firstByteTimeoutMs === 5000);
  await ready(functions, 'hello', 'Deployed');
  expect(host.deployed).toHaveLength(1);
});

it('keeps an informer complete under writes from many sides', async () => {
  const informer = new Informer<KubeObject & { data?: Record<string, string> }>({
    client,
    type: configmaps,
    logger,
    pageSize: 10,
  });
  let events = 0;
  informer.onChange({ add: () => (events += 1), update: () => (events += 1), delete: () => (events += 1) });
  informer.start();
  await Promise.all(
    Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; i < 20; i++) {
        const name = `w${writer}-${i}`;
        await client.create(configmaps, {
          metadata: { namespace: 'default', name },
          data: { v: '0' },
        } as KubeObject);
        await client.patchMerge(configmaps, 'default', name, { data: { v: '1' } });
        if (i % 2 === 0) await client.remove(configmaps, 'default', name);
      }
    }),
  );
  const { items } = await client.list(configmaps, undefined);
  const expected = items
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name} ${metadata.resourceVersion}`)
    .toSorted();
  await eventually('the same objects', () => {
    const known = [...informer.store.values()].map(
      ({ metadata }) => `${metadata.namespace}/${metadata.name} ${metadata.resourceVersion}`,
    );
    return JSON.stringify(known.toSorted()) === JSON.stringify(expected);
  });
  expect(events).toBeGreaterThan(80);
  await informer.close();
});
