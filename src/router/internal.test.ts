import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf, requestSigner } from '../auth/request-signer.ts';
import { signatureGate } from '../auth/signature-gate.ts';
import { FissiumError } from '../errors.ts';
import { createMetrics, LogStore, type PlatformMetrics } from '../observe/index.ts';
import { createInternalListener, type InternalListener } from './internal.ts';
import {
  answer,
  describing,
  fetchFrom,
  openAnswer,
  silent,
  startRouter,
  type Harness,
  type Seen,
} from './testing/harness.ts';
import { limits } from './testing/resources.ts';

let harness: Harness;
let listener: InternalListener;
let logs: LogStore;
let metrics: PlatformMetrics;
let folder: string;
let port: number;
let ready: boolean;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-internal-'));
  logs = new LogStore({ folder });
  metrics = createMetrics({ processMetrics: false });
  harness = await startRouter({ metrics, logs });
  ready = true;
  listener = createInternalListener({
    services: harness.router.services,
    logger: silent,
    metrics,
    logs,
    version: '1.2.3',
    ready: () => ready,
    mounts: {
      '/v1/archive': async (req, res) => {
        res.end(`${req.method} ${req.url} ${(await buffer(req)).toString('utf8')}`);
      },
    },
  });
  port = await listener.listen('127.0.0.1', 0);
});
afterEach(async () => {
  await listener.close({ graceMs: 0 });
  await harness.close();
  await logs.close();
  metrics.close();
  await rm(folder, { recursive: true });
});

describe('health', () => {
  it('answers /_version like the public listener', async () => {
    const { status, text } = await fetchFrom(port, '/_version');
    expect(status).toBe(200);
    const { Fissium, ServerTime } = JSON.parse(text) as Record<string, Record<string, string>>;
    expect(Fissium).toEqual({ Version: '1.2.3' });
    expect(Date.now() - Date.parse(ServerTime?.['CurrentTime'] ?? '')).toBeLessThan(60_000);
  });

  it('answers /healthz always and /readyz when all is served', async () => {
    expect((await fetchFrom(port, '/healthz')).status).toBe(200);
    expect((await fetchFrom(port, '/readyz')).status).toBe(200);
    ready = false;
    expect((await fetchFrom(port, '/readyz')).status).toBe(503);
    expect((await fetchFrom(port, '/healthz')).status).toBe(200);
  });
});

describe('/fission-function', () => {
  beforeEach(() => {
    harness.deploy('hello', describing);
    const state = {
      phase: 'ready',
      invoker: { invoke: async (request) => describing(request) },
    } as const satisfies {
      phase: 'ready';
      invoker: { invoke: typeof describing };
    };
    harness.functions.set({ namespace: 'team', name: 'hello', uid: 'uid-team', limits: limits(), state });
  });

  it.each([
    ['/fission-function/hello', 'default', '/'],
    ['/fission-function/hello/', 'default', '/'],
    ['/fission-function/hello/a%2Fb/c?x=1', 'default', '/a%2Fb/c?x=1'],
    ['/fission-function/default/hello/sub', 'default', '/sub'],
    ['/fission-function/team/hello', 'team', '/'],
    ['/fission-function/team/hello/sub?x', 'team', '/sub?x'],
  ])('%s calls the function in %s with %s', async (path, namespace, pathWithQuery) => {
    const seen = (await fetchFrom(port, path, { method: 'POST', body: 'x' })).json<Seen>();
    expect(seen).toMatchObject({ method: 'POST', pathWithQuery, body: 'x' });
    expect(Object.fromEntries(seen.headers)['x-fission-function-namespace']).toBe(namespace);
  });

  it('says which function there is not', async () => {
    const got = await fetchFrom(port, '/fission-function/team/nosuch');
    expect([got.status, got.json().code]).toEqual([404, 'FUNCTION_NOT_FOUND']);
    expect(got.json().message).toContain('"nosuch" in namespace "team"');
  });
});

describe('mounts', () => {
  it('get their path and all below it', async () => {
    expect((await fetchFrom(port, '/v1/archive?id=1')).text).toBe('GET /v1/archive?id=1 ');
    expect((await fetchFrom(port, '/v1/archive/x', { method: 'POST', body: 'zip' })).text).toBe(
      'POST /v1/archive/x zip',
    );
    const expecting = await fetchFrom(port, '/v1/archive', {
      method: 'PUT',
      body: 'zip',
      headers: { Expect: '100-continue' },
    });
    expect(expecting.text).toBe('PUT /v1/archive zip');
  });

  it('anything else is a 404 that says what there is', async () => {
    const got = await fetchFrom(port, '/v1/nothing');
    expect([got.status, got.json().code]).toEqual([404, 'NO_ROUTE']);
    expect(got.json().message).toContain('/metrics');
  });
});

describe('with a secret', () => {
  const auth = { current: 'of this installation', previous: null };
  const sign = requestSigner('router-internal', auth.current);
  let guarded: InternalListener;
  let guardedPort: number;

  beforeEach(async () => {
    harness.deploy('hello', describing);
    guarded = createInternalListener({
      services: harness.router.services,
      logger: silent,
      metrics,
      logs,
      version: '1.2.3',
      ready: () => true,
      mounts: {
        '/v1/archive': (_req, res) => void res.end('its own'),
        '/v1/loads': (_req, res) => void res.end('loads'),
      },
      gate: signatureGate('router-internal', auth, 'the internal listener'),
      ownGates: ['/v1/archive'],
    });
    guardedPort = await guarded.listen('127.0.0.1', 0);
  });
  afterEach(() => guarded.close({ graceMs: 0 }));

  it.each(['/healthz', '/readyz', '/metrics', '/_version', '/v1/archive?id=1'])(
    '%s needs no signature of this channel',
    async (path) => expect((await fetchFrom(guardedPort, path)).status).toBe(200),
  );

  it.each([
    '/fission-function/hello',
    '/v1/logs/default/hello',
    '/v1/loads',
    '/healthz/../v1/loads',
    '/nothing',
  ])('%s does', async (path) => {
    const got = await fetchFrom(guardedPort, path);
    expect([got.status, got.json().code]).toEqual([401, 'NOT_SIGNED']);
    expect(got.json().message).toContain('x-fission-auth-signature');
  });

  it('calls a function with the body that was signed, of which it hears nothing else', async () => {
    const path = '/fission-function/hello/a%2Fb?x=1';
    const body = 'x'.repeat(300_000);
    const signed = sign('POST', path, digestOf(body));
    const expecting = { ...signed, Expect: '100-continue' };
    for (const headers of [signed, expecting]) {
      const seen = (await fetchFrom(guardedPort, path, { method: 'POST', body, headers })).json<Seen>();
      expect(seen).toMatchObject({ method: 'POST', pathWithQuery: '/a%2Fb?x=1', body });
      expect(seen.headers.filter(([name]) => name.startsWith('x-fission-auth'))).toEqual([]);
    }
    const got = await fetchFrom(guardedPort, '/v1/loads', { headers: sign('GET', '/v1/loads') });
    expect(got.text).toBe('loads');
  });

  it('keeps the connection for the next request after a refusal', async () => {
    const socket = connect(guardedPort, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk) => (received += String(chunk)));
    socket.write('POST /fission-function/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi');
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await once(socket, 'close');
    expect([...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['401', '200']);
  });
});

describe('/metrics', () => {
  it('counts calls as Fission does', async () => {
    harness.deploy('hello', () => answer({ coldStart: true }));
    harness.deploy('bad', () => {
      throw new FissiumError('GUEST_TRAPPED', 'unreachable');
    });
    await harness.ask('/hello');
    await harness.ask('/hello');
    await harness.ask('/bad');
    await harness.ask('/none');
    const { text, headers } = await fetchFrom(port, '/metrics');
    expect(headers['content-type']).toContain('text/plain');
    const labels = 'function_namespace="default",function_name="hello"';
    expect(text).toContain(`fission_function_calls_total{${labels},path="/hello",method="GET",code="200"} 2`);
    expect(text).toContain(`fission_function_cold_starts_total{${labels}} 2`);
    expect(text).toContain(`fission_function_duration_seconds_count{${labels}} 2`);
    expect(text).toMatch(/fission_function_errors_total\{[^}]*function_name="bad"[^}]*code="502"\} 1/);
    expect(text).toContain(
      'fission_invocation_failures_total{component="function",reason="guest_trapped"} 1',
    );
    expect(text).toContain('http_requests_total{path="<not found>",method="GET",code="404"} 1');
    expect(text).toContain('fission_router_routes 2');
    expect(text).toContain(`fission_function_requests_in_flight{${labels}} 0`);
  });
});

describe('/v1/logs', () => {
  const line = (text: string, requestId: string, timeMs: number): void =>
    logs.append({ namespace: 'default', function: 'hello', requestId, stream: 'stdout', line: text, timeMs });
  const lines = (text: string): string[] =>
    text
      .split('\n')
      .filter((one) => one !== '')
      .map((one) => (JSON.parse(one) as { line: string }).line);

  it('gives lines by tail, time and request', async () => {
    line('one', 'a', 1000);
    line('two', 'b', 2000);
    line('three', 'a', 3000);
    const ask = async (query: string): Promise<string[]> =>
      lines((await fetchFrom(port, `/v1/logs/default/hello${query}`)).text);
    expect(await ask('')).toEqual(['one', 'two', 'three']);
    expect(await ask('?tail=2')).toEqual(['two', 'three']);
    expect(await ask('?since=2000')).toEqual(['two', 'three']);
    expect(await ask('?since=1970-01-01T00:00:03Z')).toEqual(['three']);
    expect(await ask('?requestId=a')).toEqual(['one', 'three']);
    expect(await ask('?tail=0')).toEqual([]);
  });

  it.each(['hello?tail=x', 'hello?since=x', '..%2Fx'])('refuses what it cannot read: %s', async (rest) => {
    expect((await fetchFrom(port, `/v1/logs/default/${rest}`)).json().code).toBe('BAD_REQUEST');
  });

  it('follows until the client goes', async () => {
    line('before', 'a', 1000);
    const res = await openAnswer(port, '/v1/logs/default/hello?follow=1');
    const got: string[] = [];
    for await (const chunk of res) {
      got.push(...lines(String(chunk)));
      if (got.at(-1) === 'before') line('after', 'a', 2000);
      if (got.at(-1) === 'after') break;
    }
    expect(got).toEqual(['before', 'after']);
  });

  it('has what a function failed with', async () => {
    harness.deploy('hello', () => {
      throw new FissiumError('GUEST_TRAPPED', 'unreachable', { guestStack: 'at f (wasm)\nat g (wasm)' });
    });
    await harness.ask('/hello', { headers: { 'X-Fission-Request-ID': 'r1' } });
    expect(lines((await fetchFrom(port, '/v1/logs/default/hello?requestId=r1')).text)).toEqual([
      'GUEST_TRAPPED: unreachable',
      'at f (wasm)',
      'at g (wasm)',
    ]);
  });
});
