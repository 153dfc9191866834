import { Agent } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FissiumError } from '../errors.ts';
import { answer, describing, startRouter, type Harness, type Seen } from './testing/harness.ts';

let harness: Harness;
beforeEach(async () => {
  harness = await startRouter({ version: '1.2.3' });
});
afterEach(async () => {
  await harness.close();
});

function valuesOf(seen: Seen, name: string): string[] {
  return seen.headers.filter(([known]) => known === name).map(([, value]) => value);
}

describe('a call', () => {
  it('reaches the function as Fission would send it', async () => {
    harness.deploy('hello', describing, { route: { path: '/hello/{id}/{file:[a-z.]+}', methods: ['POST'] } });
    const got = await harness.ask('/hello/a%20b/x.txt?q=1', {
      method: 'POST',
      body: 'ping',
      headers: { Host: 'example.com:8888', Accept: ['a', 'b'], 'X-Forwarded-For': '10.0.0.1' },
    });
    expect(got.status).toBe(200);
    const seen = got.json<Seen>();
    expect(seen).toMatchObject({
      method: 'POST',
      authority: 'example.com:8888',
      pathWithQuery: '/?q=1',
      body: 'ping',
    });
    expect(Object.fromEntries(seen.headers)).toMatchObject({
      'x-fission-params-id': 'a b',
      'x-fission-params-file': 'x.txt',
      'x-fission-full-url': '/hello/a%20b/x.txt?q=1',
      'x-fission-function-name': 'hello',
      'x-fission-function-namespace': 'default',
      'x-fission-function-uid': 'uid-hello',
      'x-fission-request-id': got.headers['x-fission-request-id'],
      'x-forwarded-for': '10.0.0.1, 127.0.0.1',
      'x-forwarded-host': 'example.com:8888',
    });
    expect(valuesOf(seen, 'accept')).toEqual(['a', 'b']);
    expect(valuesOf(seen, 'host')).toEqual([]);
  });

  it('drops hop-by-hop fields and what looks like Fission’s own, in both directions', async () => {
    harness.deploy('hello', async (request) => {
      const described = await describing(request);
      return {
        ...described,
        headers: [
          ['connection', 'close, x-secret'],
          ['x-secret', '1'],
          ['keep-alive', 'timeout=1'],
          ['transfer-encoding', 'identity'],
          ['x-fission-request-id', 'forged'],
          ['x-kept', 'yes'],
        ],
      };
    });
    const got = await harness.ask('/hello', {
      headers: {
        Connection: 'X-Private',
        'X-Private': '1',
        'X-Fission-Function-Name': 'forged',
        'x-fission-params-id': 'forged',
        X_Fission_Params_Id: 'forged',
        'X-Fission-Request-ID': 'mine-1',
        TE: 'trailers',
        'Proxy-Authorization': 'secret',
      },
    });
    const seen = got.json<Seen>();
    const names = seen.headers.map(([name]) => name);
    for (const name of [
      'x-private',
      'connection',
      'te',
      'proxy-authorization',
      'x-fission-params-id',
      'x_fission_params_id',
    ]) {
      expect(names).not.toContain(name);
    }
    expect(valuesOf(seen, 'x-fission-function-name')).toEqual(['hello']);
    expect(seen.id).toBe('mine-1');
    expect(got.headers['x-fission-request-id']).toBe('mine-1');
    expect(got.headers['x-secret']).toBeUndefined();
    expect(got.headers['x-kept']).toBe('yes');
    expect(got.headers['keep-alive']).not.toBe('timeout=1');
  });

  it.each(['', 'a b', 'x'.repeat(193), 'caf\u00e9'])('makes a new request id for %j', async (id) => {
    harness.deploy('hello', describing);
    const got = await harness.ask('/hello', { headers: { 'X-Fission-Request-ID': id } });
    expect(got.headers['x-fission-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(got.json<Seen>().id).toBe(got.headers['x-fission-request-id']);
  });

  it('passes the status and headers on as they are', async () => {
    harness.deploy('hello', () =>
      answer({
        status: 418,
        headers: [
          ['Set-Cookie', 'a=1'],
          ['Set-Cookie', 'b=2'],
          ['X-Case', 'kept'],
        ],
        body: 'teapot',
      }),
    );
    const got = await harness.ask('/hello');
    expect(got.status).toBe(418);
    expect(got.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(got.rawHeaders).toContain('X-Case');
    expect(got.text).toBe('teapot');
  });

  it('sees the path behind its prefix, or the whole one with keepPrefix', async () => {
    harness.deploy('api', describing, { route: { path: '/api', prefix: true } });
    harness.deploy('kept', describing, { route: { path: '/kept', prefix: true, keepPrefix: true } });
    expect((await harness.ask('/api/a%2Fb?x')).json<Seen>().pathWithQuery).toBe('/a%2Fb?x');
    expect((await harness.ask('/api')).json<Seen>().pathWithQuery).toBe('/');
    expect((await harness.ask('/kept/a')).json<Seen>().pathWithQuery).toBe('/kept/a');
    expect((await harness.ask('/api/x/../../kept/b')).json<Seen>().pathWithQuery).toBe('/kept/b');
  });

  it('goes to functions by weight', async () => {
    await harness.close();
    const points = [0, 0.74, 0.75, 0.99];
    harness = await startRouter({ random: () => points.shift() ?? 0 });
    harness.deploy('old', () => answer({ body: 'old' }));
    harness.deploy('new', () => answer({ body: 'new' }), {
      route: {
        path: '/canary',
        functions: [
          { name: 'old', weight: 75 },
          { name: 'new', weight: 25 },
        ],
      },
    });
    const got: string[] = [];
    for (let count = 0; count < 4; count += 1) got.push((await harness.ask('/canary')).text);
    expect(got).toEqual(['old', 'old', 'new', 'new']);
  });

  it('takes an absolute target and its host', async () => {
    harness.deploy('hello', describing, { route: { host: 'api.example' } });
    const client = await harness.socket();
    client.send('GET http://api.example/hello HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n');
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 200 [^]*"authority":"api.example"/);
  });

  it('may be a HEAD, which follows GET without its body', async () => {
    harness.deploy('hello', ({ method }) =>
      answer({ headers: [['content-length', '5']], body: method.padEnd(5) }),
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const got = await harness.ask('/hello', { method: 'HEAD', agent });
    expect(got.status).toBe(200);
    expect(got.headers['content-length']).toBe('5');
    expect(got.text).toBe('');
    expect((await harness.ask('/hello', { agent })).text).toBe('GET  ');
    agent.destroy();
  });

  it.each([204, 304])('answers %i without a body', async (status) => {
    harness.deploy('hello', () => answer({ status, body: 'not to be sent' }));
    const client = await harness.socket();
    client.send('GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(await client.untilClosed()).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*\r\n\r\n$`));
  });
});

describe('errors', () => {
  it('404 says how to make a route', async () => {
    const got = await harness.ask('/nothing/here', { method: 'POST' });
    expect(got.status).toBe(404);
    expect(got.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(got.json()).toEqual({
      code: 'NO_ROUTE',
      message:
        'No route takes POST /nothing/here. Make one with: ' +
        'fissium route create --function NAME --url /nothing/here --method POST',
      requestId: got.headers['x-fission-request-id'],
    });
  });

  it('405 says which methods there are; OPTIONS answers them', async () => {
    harness.deploy('hello', describing, { route: { methods: ['GET', 'POST'] } });
    const got = await harness.ask('/hello', { method: 'DELETE' });
    expect([got.status, got.headers.allow, got.json().code]).toEqual([
      405,
      'GET, HEAD, OPTIONS, POST',
      'METHOD_NOT_ALLOWED',
    ]);
    const options = await harness.ask('/hello', { method: 'OPTIONS' });
    expect([options.status, options.headers.allow, options.text]).toEqual([
      204,
      'GET, HEAD, OPTIONS, POST',
      '',
    ]);
  });

  it('OPTIONS reaches a function whose route takes it', async () => {
    harness.deploy('hello', ({ method }) => answer({ body: method }), { route: { methods: ['OPTIONS'] } });
    expect((await harness.ask('/hello', { method: 'OPTIONS' })).text).toBe('OPTIONS');
  });

  it('400 for a malformed escape', async () => {
    expect((await harness.ask('/%zz')).json().code).toBe('BAD_REQUEST');
  });

  it('404 for a route to a function that is not there', async () => {
    harness.deploy('hello', describing, { route: { functions: [{ name: 'gone', weight: 100 }] } });
    const got = await harness.ask('/hello');
    expect([got.status, got.json().code]).toEqual([404, 'FUNCTION_NOT_FOUND']);
    expect(got.json().message).toContain('"gone"');
  });

  it.each([
    ['GUEST_TRAPPED', 502],
    ['CPU_LIMIT', 504],
    ['THREAD_LOST', 502],
    ['ENVIRONMENT_NOT_SERVED', 501],
  ] as const)('%s before the head answers %i', async (code, status) => {
    harness.deploy('hello', () => {
      throw new FissiumError(code, 'What happened.');
    });
    const got = await harness.ask('/hello');
    expect([got.status, got.json().code, got.json().message]).toEqual([status, code, 'What happened.']);
  });

  it('keeps what is not ours to itself', async () => {
    harness.deploy('hello', () => {
      throw new TypeError('secret detail');
    });
    const got = await harness.ask('/hello');
    expect([got.status, got.json().code]).toEqual([500, 'INTERNAL']);
    expect(got.text).not.toContain('secret');
  });

  it('a function that was refused answers why, never with a status of deploying', async () => {
    harness.deploy('bad', { phase: 'refused', error: new FissiumError('PACKAGE_REFUSED', 'It is no Wasm.') });
    harness.deploy('python', {
      phase: 'refused',
      error: new FissiumError('ENVIRONMENT_NOT_SERVED', 'Containers are not served yet.'),
    });
    const bad = await harness.ask('/bad');
    expect([bad.status, bad.json().code]).toEqual([502, 'FUNCTION_FAILED']);
    expect(bad.json().message).toContain('It is no Wasm.');
    expect((await harness.ask('/python')).status).toBe(501);
    expect(bad.headers['x-fissium-refused']).toBeUndefined();
  });

  it('says to a router that a function was refused, which no function can say itself', async () => {
    const host = await startRouter({ fromRouters: true });
    try {
      host.deploy('bad', { phase: 'refused', error: new FissiumError('PACKAGE_REFUSED', 'It is no Wasm.') });
      host.deploy('says-so', () => answer({ status: 502, headers: [['X-Fissium-Refused', '1']] }));
      host.deploy('fails', () => {
        throw new FissiumError('GUEST_TRAPPED', 'What happened.');
      });
      const [bad, says, fails] = [
        await host.ask('/bad'),
        await host.ask('/says-so'),
        await host.ask('/fails'),
      ];
      expect([bad.status, bad.headers['x-fissium-refused']]).toEqual([502, '1']);
      expect([says.status, says.headers['x-fissium-refused']]).toEqual([502, undefined]);
      expect([fails.status, fails.headers['x-fissium-refused']]).toEqual([502, undefined]);
    } finally {
      await host.close();
    }
  });

  it.each([
    [{ headers: [['x-bad', 'a\r\nb']] }, 'x-bad'],
    [{ headers: [['x-bad', 'snow\u2603']] }, 'x-bad'],
    [{ headers: [['bad name', 'x']] }, 'bad name'],
    [{ status: 101 }, '101'],
    [{ status: 42 }, '42'],
    [{ headers: [['content-length', 'many']] }, 'many'],
    [
      {
        headers: [
          ['content-length', '1'],
          ['content-length', '2'],
        ],
      },
      'two content-lengths',
    ],
  ] as const)('a head that cannot be sent, %j, is a 502', async (parts, named) => {
    harness.deploy('hello', () => answer({ body: 'x', ...(parts as object) }));
    const got = await harness.ask('/hello');
    expect([got.status, got.json().code]).toEqual([502, 'GUEST_BAD_RESPONSE']);
    expect(got.json().message).toContain(named);
  });

  it('leave the connection usable', async () => {
    harness.deploy(
      'trap',
      () => {
        throw new FissiumError('GUEST_TRAPPED', 'unreachable');
      },
      { route: { methods: ['POST'] } },
    );
    harness.deploy('hello', describing);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const body = 'x'.repeat(10_000);
    expect((await harness.ask('/trap', { agent, method: 'POST', body })).status).toBe(502);
    expect((await harness.ask('/none', { agent, method: 'POST', body })).status).toBe(404);
    expect((await harness.ask('/hello', { agent })).status).toBe(200);
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
    expect(harness.router.services.admission.requests).toBe(0);
    agent.destroy();
  });
});

describe('Fission’s own paths', () => {
  it('answers /router-healthz, /readyz and /_version', async () => {
    expect((await harness.ask('/router-healthz')).status).toBe(200);
    expect((await harness.ask('/readyz')).status).toBe(200);
    const version = (await harness.ask('/_version')).json<unknown>();
    expect(version).toMatchObject({
      Build: { Version: 'v1.27.0', GitCommit: 'fissium-1.2.3' },
      Fissium: { Version: '1.2.3' },
    });
  });
});

describe('a call that failed', () => {
  it.each([
    ['GUEST_TRAPPED', 'function', 'function_error'],
    ['FUNCTION_NOT_READY', 'executor', 'specialization_failed'],
    ['DEADLINE_EXCEEDED', 'timeout', 'function_timeout'],
  ] as const)("%s is attributed in Fission's words: %s, %s", async (code, component, reason) => {
    harness.deploy('bad', () => {
      throw new FissiumError(code, 'it failed');
    });
    const { headers, text } = await harness.ask('/bad');
    expect(headers['x-fission-component']).toBe(component);
    expect(JSON.parse(text)).toMatchObject({
      code,
      component,
      reason,
      requestId: headers['x-fission-request-id'],
    });
  });

  it('is attributed to nobody where there was no call', async () => {
    const { headers, text } = await harness.ask('/nowhere');
    expect(headers['x-fission-component']).toBeUndefined();
    expect(JSON.parse(text)).not.toHaveProperty('component');
  });
});

describe('requests that are no plain HTTP', () => {
  it.each([
    // A call like others, and there is no such function; see upgrade.test.ts.
    ['GET /hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 404],
    [
      'GET /hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx',
      400,
    ],
    ['GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n', 400],
    ['CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n', 501],
    ['GET /hello HTTP/1.1\r\n\r\n', 400],
    ['GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', 400],
    ['NOSUCH /hello HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    [`GET /hello HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(40_000)}\r\n\r\n`, 431],
  ])('%# are refused', async (bytes, status) => {
    const client = await harness.socket();
    client.send(bytes);
    expect(await client.untilClosed()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it('ignores an upgrade that may be ignored', async () => {
    harness.deploy('hello', describing);
    const client = await harness.socket();
    client.send('GET /hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n');
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 200 /);
  });
});
