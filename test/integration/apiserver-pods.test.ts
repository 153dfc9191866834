/** Pods, Services and Deployments of the embedded API: told from functions and from the platform's own parts. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApiServer, type ApiServer } from '../../src/apiserver/server.ts';
import { ApiClient, take, type Body } from './support/api-client.ts';

const PODS = '/api/v1/namespaces/default/pods';
const FUNCTIONS = '/apis/fission.io/v1/namespaces/default/functions';

let folder: string;
let server: ApiServer;
let api: ApiClient;
let upstream: Server;
/** What the internal listener was asked, and answers. */
const asked: string[] = [];
let answerLogs: (response: ServerResponse) => void = (response) => response.end();

const line = (time: string, words: string): string => `${JSON.stringify({ time, line: words })}\n`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-pods-'));
  server = await startApiServer({ dataDir: join(folder, 'data'), port: 0 }, pino({ level: 'silent' }));
  api = await ApiClient.from(server.kubeconfigPath);
  upstream = createServer((request, response) => {
    asked.push(request.url ?? '');
    answerLogs(response);
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  api?.close();
  await server?.close();
  upstream?.closeAllConnections();
  await new Promise((resolve) => upstream.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

async function createFunction(name: string): Promise<Body> {
  const {
    code,
    body,
    text: why,
  } = await api.post(FUNCTIONS, {
    apiVersion: 'fission.io/v1',
    kind: 'Function',
    metadata: { name, labels: { team: 'a' } },
    spec: { environment: { name: 'wasm' }, package: { packageref: { name: 'code' } } },
  });
  expect([code, why]).toEqual([201, why]);
  return body;
}

async function setReady(name: string, status: string, reason: string): Promise<void> {
  const { code } = await api.patch(`${FUNCTIONS}/${name}/status`, {
    status: {
      conditions: [
        { type: 'Ready', status, reason, message: 'why', lastTransitionTime: '2026-11-27T10:00:00Z' },
      ],
    },
  });
  expect(code).toBe(200);
}

const podsOf = async (selector: string): Promise<readonly Body[]> =>
  (await api.get(`/api/v1/pods?labelSelector=${encodeURIComponent(selector)}`)).body.items;

const listen = (): void => {
  const { port } = upstream.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  server.setUpstreams({ router: url, 'router-internal': url, storage: url });
};

describe('a function', () => {
  test('shows as a Pod with the labels that Fission looks for, and its state', async () => {
    const { metadata } = await createFunction('greet');
    const selector = `functionUid=${metadata.uid},environmentName=wasm,environmentNamespace=default`;
    const [before] = await podsOf(selector);
    expect(before).toMatchObject({
      metadata: {
        namespace: 'default',
        labels: { functionName: 'greet', functionNamespace: 'default', executorType: 'poolmgr', team: 'a' },
        ownerReferences: [{ kind: 'Function', name: 'greet', uid: metadata.uid }],
      },
      status: { phase: 'Pending', containerStatuses: [{ ready: false, state: { waiting: {} } }] },
    });
    await setReady('greet', 'True', 'Deployed');
    const [after, ...more] = await podsOf('functionName=greet,functionNamespace=default');
    expect(more).toEqual([]);
    expect(after).toMatchObject({
      metadata: { name: before?.metadata.name, uid: before?.metadata.uid },
      status: { phase: 'Running', startTime: expect.any(String) as string },
    });
    expect(Number(after?.metadata.resourceVersion)).toBeGreaterThan(Number(before?.metadata.resourceVersion));
    expect((await api.get(`${PODS}/${after?.metadata.name}`)).body).toEqual(after);
    expect((await api.get(`${PODS}/greet-00000000`)).code).toBe(404);
  });

  test('is found by who takes its environment to be in no namespace, as Fission’s CLI where none is given', async () => {
    const found = await podsOf('environmentName=wasm,environmentNamespace=');
    expect(found.map(({ metadata }) => metadata['namespace'])).toEqual(['default']);
    expect(await podsOf('environmentName=wasm,environmentNamespace=other')).toEqual([]);
  });

  test('is listed in pages that miss nothing and have no Pod twice', async () => {
    // As functions they come in another order than as Pods: `-0` is before `-<uid>`.
    for (const name of ['page', 'page-0', 'page-zz']) await createFunction(name);
    const whole = (await api.get(PODS)).body.items.map(({ metadata }) => metadata.name);
    expect(whole).toEqual(whole.toSorted());
    const paged: string[] = [];
    let token: string | undefined = '';
    while (token !== undefined) {
      const { body } = await api.get(`${PODS}?limit=2&continue=${encodeURIComponent(token)}`);
      expect(body.items.length).toBeLessThanOrEqual(2);
      paged.push(...body.items.map(({ metadata }) => metadata.name));
      token = body.metadata.continue;
    }
    expect(paged).toEqual(whole);
  });

  test('can be watched as a Pod, from its creation to its end', async () => {
    const { body } = await api.get(PODS);
    const events = api.watch(
      `${PODS}?watch=1&labelSelector=functionName%3Dseen&resourceVersion=${body.metadata.resourceVersion}`,
    );
    const taken = take(events, 3);
    await createFunction('seen');
    await setReady('seen', 'True', 'Deployed');
    await api.delete(`${FUNCTIONS}/seen`);
    const phases = (await taken).map(({ type, object }) => [
      type,
      (object['status'] as { phase: string }).phase,
    ]);
    expect(phases).toEqual([
      ['ADDED', 'Pending'],
      ['MODIFIED', 'Running'],
      ['DELETED', 'Running'],
    ]);
    await events.return(undefined);
  });

  test('is changed as a Function, never as a Pod', async () => {
    const [pod] = await podsOf('functionName=greet');
    const refused = await api.delete(`${PODS}/${pod?.metadata.name}`);
    expect(refused.code).toBe(405);
    expect(refused.body.message).toContain('change or delete the Function');
    expect((await api.post(PODS, pod)).code).toBe(405);
    expect((await api.delete(`${PODS}/nosuch`)).code).toBe(404);
  });
});

describe('the log of a Pod', () => {
  let log: string;

  beforeAll(async () => {
    listen();
    const [pod] = await podsOf('functionName=greet');
    log = `${PODS}/${pod?.metadata.name}/log`;
  });

  test('is the log of its function, in lines', async () => {
    answerLogs = (response) => {
      response.write(line('2026-11-27T10:00:00.000Z', 'one'));
      // A chunk may end anywhere.
      const second = Buffer.from(line('2026-11-27T10:00:01.000Z', 'zwölf'));
      response.write(second.subarray(0, second.indexOf(0xc3) + 1));
      setImmediate(() => response.end(second.subarray(second.indexOf(0xc3) + 1)));
    };
    const {
      code,
      text: plain,
      headers,
    } = await api.get(`${log}?container=greet&tailLines=5&sinceTime=1970-01-01T00:00:00Z`);
    expect([code, plain, headers['content-type']]).toEqual([
      200,
      'one\nzwölf\n',
      'text/plain; charset=utf-8',
    ]);
    expect(asked.at(-1)).toBe('/v1/logs/default/greet?tail=5&since=0');
    expect((await api.get(`${log}?timestamps=true&limitBytes=20`)).text).toBe('2026-11-27T10:00:00.');
  });

  test('is followed until the client goes, which ends nothing else', async () => {
    let ended: Promise<unknown> = Promise.resolve();
    answerLogs = (response) => {
      ended = new Promise((resolve) => response.once('close', resolve));
      response.write(line('2026-11-27T10:00:00.000Z', 'first'));
    };
    const response = await api.open('GET', `${log}?follow=true`);
    const [chunk] = (await once(response, 'data')) as [Buffer];
    expect(String(chunk)).toBe('first\n');
    expect(asked.at(-1)).toBe('/v1/logs/default/greet?follow=1');
    response.destroy();
    await ended;
    expect((await api.get(PODS)).code).toBe(200);
  });

  test('that breaks off is cut, not ended, and the server goes on', async () => {
    answerLogs = (response) => {
      response.write(line('2026-11-27T10:00:00.000Z', 'half'), () => response.destroy());
    };
    const response = await api.open('GET', log);
    await expect(text(response)).rejects.toThrow('aborted');
    answerLogs = (response_) => {
      response_.statusCode = 500;
      response_.end();
    };
    expect((await api.get(log)).code).toBe(503);
    expect((await api.get(PODS)).code).toBe(200);
  });

  test.each([
    ['container=fetcher', 'container fetcher is not valid for pod'],
    ['tailLines=-1', 'tailLines must be a whole number'],
    ['sinceTime=yesterday', 'sinceTime must be a time'],
    ['sinceSeconds=5&sinceTime=2026-11-27T10:00:00Z', 'at most one of'],
    ['previous=true', 'previous terminated container'],
  ])('refuses %s', async (query, why) => {
    const { code, body } = await api.get(`${log}?${query}`);
    expect(code).toBe(400);
    expect(body.message).toContain(why);
  });

  test('of a part of the platform says where that log is', async () => {
    expect((await api.get('/api/v1/namespaces/fission/pods/router/log')).text).toContain('standard error');
  });
});

describe('the platform', () => {
  test('shows its parts as Fission names them, and that they are ready', async () => {
    listen();
    const { port } = upstream.address() as AddressInfo;
    for (const name of ['executor', 'router', 'storagesvc', 'webhook']) {
      const { body } = await api.get(`/apis/apps/v1/namespaces/fission/deployments/${name}`);
      expect(body['status']).toMatchObject({ replicas: 1, availableReplicas: 1 });
    }
    const { body } = await api.get('/api/v1/services?labelSelector=application%3Dfission-router');
    expect(body.items.map(({ metadata, spec }) => [metadata.name, spec])).toEqual([
      [
        'router',
        expect.objectContaining({
          ports: [
            { name: 'http', port: 80, protocol: 'TCP', targetPort: port },
            { name: 'internal', port: 8889, protocol: 'TCP', targetPort: port },
          ],
        }),
      ],
    ]);
  });

  test.each(['canaryconfigs', 'functionaliases', 'functionversions', 'workflows', 'workflowruns'])(
    'has no %s, lists none and says so',
    async (plural) => {
      expect((await api.get(`/apis/fission.io/v1/${plural}`)).body.items).toEqual([]);
      const path = `/apis/fission.io/v1/namespaces/default/${plural}`;
      expect((await api.get(`${path}/x`)).code).toBe(404);
      const refused = await api.post(path, { metadata: { name: 'x' } });
      expect([refused.code, refused.body.reason]).toEqual([405, 'MethodNotAllowed']);
      expect(refused.body.message).toContain('this version of Fissium does not have');
    },
  );
});
