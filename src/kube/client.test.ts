import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';

import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { KubeClient } from './client.ts';
import { EventRecorder } from './events.ts';
import { type ConfigMap, type KubeObject, RESOURCES } from './resources.ts';
import { SmallApi } from './testing/small-api.ts';

let api: SmallApi;
let client: KubeClient;

beforeEach(async () => {
  api = await SmallApi.start();
  client = api.client();
});
afterEach(async () => {
  client.close();
  await api.close();
});

const configMap = (name: string, v = '1'): ConfigMap => ({
  metadata: { namespace: 'default', name },
  data: { v },
});

describe('KubeClient', () => {
  it('creates, reads, replaces, patches and removes', async () => {
    const created = await client.create(RESOURCES.configmaps, configMap('a'));
    expect(created).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { generation: 1 } });
    const replaced = await client.replace(RESOURCES.configmaps, { ...created, data: { v: '2' } });
    expect(replaced.data).toEqual({ v: '2' });
    const patched = await client.patchMerge<ConfigMap>(RESOURCES.configmaps, 'default', 'a', {
      data: { w: '3' },
    });
    expect(patched.data).toEqual({ v: '2', w: '3' });
    await client.remove(RESOURCES.configmaps, 'default', 'a', { propagationPolicy: 'Background' });
    await expect(client.get(RESOURCES.configmaps, 'default', 'a')).rejects.toMatchObject({
      name: 'ApiError',
      status: 404,
      reason: 'NotFound',
    });
  });

  it('applies what one manager wants, and leaves what others own', async () => {
    const deployment = (spec: object): KubeObject =>
      ({ metadata: { namespace: 'default', name: 'd' }, spec }) as KubeObject;
    const apply = async (fieldManager: string, spec: object): Promise<unknown> =>
      (
        await client.apply<KubeObject & { spec: unknown }>(RESOURCES.deployments, deployment(spec), {
          fieldManager,
        })
      ).spec;
    expect(await apply('a', { paused: true, minReadySeconds: 1 })).toEqual({
      paused: true,
      minReadySeconds: 1,
    });
    await client.scale(RESOURCES.deployments, 'default', 'd', 3);
    expect(await apply('a', { minReadySeconds: 2 })).toEqual({ minReadySeconds: 2, replicas: 3 });
    const seen = api.requests.at(-1);
    expect([seen?.method, seen?.path, seen?.query.toString()]).toEqual([
      'PATCH',
      '/apis/apps/v1/namespaces/default/deployments/d',
      'fieldManager=a&force=true',
    ]);
    expect(seen?.body).toMatchObject({ apiVersion: 'apps/v1', kind: 'Deployment' });
  });

  it('writes status alone through the subresource', async () => {
    await client.create(RESOURCES.functions, { metadata: { namespace: 'default', name: 'f' } });
    const written = await client.patchStatus<KubeObject & { status?: unknown }>(
      RESOURCES.functions,
      'default',
      'f',
      { status: { x: 1 } },
    );
    expect(written.status).toEqual({ x: 1 });
    const replaced = await client.replaceStatus(RESOURCES.functions, { ...written, status: { y: 1 } });
    expect(replaced.status).toEqual({ y: 1 });
    expect(api.count('PUT', '/functions/f/status')).toBe(1);
  });

  it('refuses a stale version as a conflict, with reason and details of the server', async () => {
    const created = await client.create(RESOURCES.configmaps, configMap('a'));
    await client.replace(RESOURCES.configmaps, created);
    await expect(client.replace(RESOURCES.configmaps, created)).rejects.toMatchObject({
      status: 409,
      reason: 'Conflict',
      message: 'refused: Conflict',
    });
  });

  it('reads a collection in pages', async () => {
    for (let i = 0; i < 5; i++) await client.create(RESOURCES.configmaps, configMap(`a${i}`));
    const sizes: number[] = [];
    for await (const { items } of client.listPages(RESOURCES.configmaps, 'default', { limit: 2 }))
      sizes.push(items.length);
    expect(sizes).toEqual([2, 2, 1]);
  });

  it('sends what the caller asks of the server, and hands its warnings on', async () => {
    const warnings: string[] = [];
    const server = createServer((_, response) => {
      response
        .setHeader('warning', '299 - "unknown field \\"spec.x\\"", 299 - "second"')
        .end('{"metadata":{"name":"a"}}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const warned = new KubeClient(
      { ...api.connection, server: url },
      { onWarning: (text) => warnings.push(text) },
    );
    await warned.create(RESOURCES.configmaps, configMap('a'), { fieldValidation: 'Strict', dryRun: true });
    expect(warnings).toEqual(['unknown field "spec.x"', 'second']);
    warned.close();
    server.close();
  });

  it('says which server does not answer and how to start one', async () => {
    const gone = new KubeClient({ ...api.connection, server: 'http://127.0.0.1:1' });
    await expect(gone.get(RESOURCES.configmaps, 'default', 'a')).rejects.toMatchObject({
      code: 'API_UNREACHABLE',
      message: expect.stringMatching(
        /127\.0\.0\.1:1 \(kubeconfig test\).*ECONNREFUSED.*fissium up/,
      ) as unknown,
    });
    gone.close();
  });

  it('says so when something else than an API server answers', async () => {
    api.intercept = () => ({ status: 200, raw: '<html>' });
    await expect(client.get(RESOURCES.configmaps, 'default', 'a')).rejects.toThrow(
      'Is it a Kubernetes API server?',
    );
    api.intercept = () => ({ status: 502, raw: 'bad gateway' });
    await expect(client.get(RESOURCES.configmaps, 'default', 'a')).rejects.toMatchObject({
      status: 502,
      message: expect.stringContaining('bad gateway') as unknown,
    });
  });

  it('keeps its connection', async () => {
    for (let i = 0; i < 10; i++) await client.list(RESOURCES.configmaps, 'default');
    expect(api.connections).toBe(1);
  });

  it('ends a call when its signal aborts', async () => {
    await expect(
      client.get(RESOURCES.configmaps, 'default', 'a', { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('serviceProxy', () => {
  it("goes through the API server with the kubeconfig's credentials, streaming", async () => {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      response.writeHead(418);
      request.pipe(response);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const proxied = new KubeClient(
      { ...api.connection, server: url },
      { services: { storagesvc: `${url}/direct/` } },
    );
    const init = { method: 'POST', body: Readable.from(['a', 'b']) };
    const answer = await proxied.serviceProxy('router-internal', '/fission-function/x?y=1', init);
    expect([answer.status, await answer.text()]).toEqual([418, 'ab']);
    await (await proxied.serviceProxy('storagesvc', '/v1/archive')).text();
    expect(seen).toEqual([
      'POST /api/v1/namespaces/fission/services/router-internal%3Ahttp/proxy/fission-function/x?y=1 Bearer secret-token',
      'GET /direct/v1/archive undefined',
    ]);
    proxied.close();
    server.closeAllConnections();
    server.close();
  });
});

describe('EventRecorder', () => {
  it('counts the same event instead of writing it again, across recorders too', async () => {
    const object = await client.create(RESOURCES.configmaps, configMap('a'));
    const recorder = (): EventRecorder =>
      new EventRecorder({ client, component: 'test', logger: pino({ level: 'silent' }) });
    const first = recorder();
    for (let i = 0; i < 3; i++)
      first.recordEvent(RESOURCES.configmaps, object, 'Warning', 'Broken', 'it broke');
    first.recordEvent(RESOURCES.configmaps, object, 'Normal', 'Ready', 'it works');
    await first.flush();
    const second = recorder();
    second.recordEvent(RESOURCES.configmaps, object, 'Warning', 'Broken', 'it broke');
    await second.flush();
    const { items } = await client.list<KubeObject & { reason: string; count: number }>(
      RESOURCES.events,
      'default',
    );
    expect(items.map(({ reason, count }) => [reason, count])).toEqual([
      ['Broken', 4],
      ['Ready', 1],
    ]);
    expect(items[0]).toMatchObject({
      involvedObject: { kind: 'ConfigMap', name: 'a', uid: object.metadata.uid },
    });
  });

  it('keeps failures to itself', async () => {
    const object = await client.create(RESOURCES.configmaps, configMap('a'));
    api.intercept = () => ({ status: 500 });
    const recorder = new EventRecorder({ client, component: 'test', logger: pino({ level: 'silent' }) });
    recorder.recordEvent(RESOURCES.configmaps, object, 'Warning', 'Broken', 'x'.repeat(5000));
    await expect(recorder.close()).resolves.toBeUndefined();
  });
});
