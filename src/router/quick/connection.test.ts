import { connect, createServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, it, onTestFinished, vi } from 'vitest';
import { bodyStream } from '../../executors/body-stream.ts';
import type { InvokeRequest, InvokeResponse } from '../../executors/executor.ts';
import { answer, atOnce, startRouter, whole, type Handler, type Harness } from '../testing/harness.ts';
import { trigger } from '../testing/resources.ts';
import { QuickConnection, type QuickHooks } from './connection.ts';
import type { QuickExchange } from './exchange.ts';

const GET = 'GET /hello HTTP/1.1\r\nHost: x\r\n\r\n';

async function start(): Promise<Harness> {
  const harness = await startRouter();
  onTestFinished(() => harness.close());
  return harness;
}

/** Functions that answer before they return, and a moment later. */
const KINDS = [
  [
    'at once',
    (harness: Harness, handle: (path: string) => string) => {
      const invoker = atOnce(({ pathWithQuery }) => whole(handle(pathWithQuery)));
      harness.deploy('hello', { phase: 'ready', invoker });
    },
  ],
  [
    'later',
    (harness: Harness, handle: (path: string) => string) => {
      const later: Handler = async ({ pathWithQuery }) => {
        await new Promise((resolve) => setImmediate(resolve));
        return whole(handle(pathWithQuery));
      };
      harness.deploy('hello', later);
    },
  ],
] as const;

describe.for(KINDS)('requests of one connection, answered %s', ([, deploy]) => {
  it('are answered in their order, many sent at once', async ({ expect }) => {
    const harness = await start();
    let count = 0;
    deploy(harness, () => String(++count));
    const client = await harness.socket();
    client.send(GET.repeat(50) + GET.replace('Host: x', 'Host: x\r\nConnection: close'));
    const received = await client.untilClosed();
    const bodies = [...received.matchAll(/\r\n\r\n(\d+)/g)].map(([, body]) => Number(body));
    expect(bodies).toEqual(Array.from({ length: 51 }, (_, at) => at + 1));
    expect(received.match(/Connection: close/g)).toHaveLength(1);
  });

  it('go on in node:http when one is different, in the same order', async ({ expect }) => {
    const harness = await start();
    deploy(harness, (path) => `<${path}>`);
    harness.routes.upsert(trigger('hello', { methods: ['GET', 'POST'] }));
    const client = await harness.socket();
    const post = 'POST /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';
    client.send(GET + GET + post + GET + GET.replace('Host: x', 'Host: x\r\nConnection: close'));
    const received = await client.untilClosed();
    expect(received.match(/HTTP\/1\.1 200/g)).toHaveLength(5);
  });

  it('are refused by node:http where they are malformed, after those before', async ({ expect }) => {
    const harness = await start();
    deploy(harness, () => 'hi');
    const client = await harness.socket();
    client.send(`${GET}GET /hello HTTP/1.1\r\nHost: x\nA: b\r\n\r\n`);
    const received = await client.untilClosed();
    expect([...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '400']);
  });

  it('may come in pieces', async ({ expect }) => {
    const harness = await start();
    deploy(harness, () => 'hi');
    const client = await harness.socket();
    client.send(GET);
    await client.until(/hi$/);
    for (const piece of [GET.slice(0, 9), GET.slice(9, 30), GET.slice(30)]) {
      client.send(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.until(/hi[^]*hi$/);
    expect(client.received.match(/200 OK/g)).toHaveLength(2);
  });
});

const post = (body: string, fields = ''): string =>
  `POST /hello HTTP/1.1\r\nHost: x\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;

describe('a body', () => {
  /** A function that answers with its body, and how it came. */
  function deployEcho(harness: Harness): void {
    const echo = async ({ body }: InvokeRequest): Promise<InvokeResponse> => {
      const stream = bodyStream(body);
      return whole(`<${stream ? (await buffer(stream)).toString('latin1') : 'none'}>`, {
        headers: [['came', body instanceof Uint8Array ? 'whole' : body === null ? 'not' : 'as a stream']],
      });
    };
    harness.deploy('hello', echo, { route: { methods: ['GET', 'POST'] } });
  }
  const came = (received: string): (string | undefined)[] =>
    [...received.matchAll(/came: ([a-z ]+)/g)].map(([, how]) => how);

  it('that is short is there when the function begins, and what follows it is the next request', async ({
    expect,
  }) => {
    const harness = await start();
    deployEcho(harness);
    const client = await harness.socket();
    client.send(post(GET) + GET + post('') + post('last', 'Connection: close\r\n'));
    const received = await client.untilClosed();
    expect(came(received)).toEqual(['whole', 'not', 'not', 'whole']);
    expect([...received.matchAll(/<([^>]*)>/g)].map(([, body]) => body)).toEqual([
      GET,
      'none',
      'none',
      'last',
    ]);
  });

  it('may come in pieces, which are put together', async ({ expect }) => {
    // However slow the machine is, the pieces come in time.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const harness = await start();
    deployEcho(harness);
    const client = await harness.socket();
    const body = 'x'.repeat(64 * 1024);
    const bytes = post(body) + GET;
    for (const [from, to] of [
      [0, 60],
      [60, 62],
      [62, 40_000],
      [40_000, bytes.length - 5],
      [bytes.length - 5, bytes.length],
    ]) {
      client.send(bytes.slice(from, to));
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    const received = await client.until(/<none>/);
    expect(came(received)).toEqual(['whole', 'not']);
    expect(received).toContain(`<${body}>`);
  });

  it('that is not sent soon streams, so that its function can answer first', async ({ expect }) => {
    const harness = await start();
    harness.deploy('hello', ({ body }) => whole(body instanceof Readable ? 'stream' : 'whole'), {
      route: { methods: ['POST'] },
    });
    const client = await harness.socket();
    client.send(post('body').slice(0, -2));
    await client.until(/200 OK[^]*stream/);
    client.send(`dy${post('next', 'Connection: close\r\n')}`);
    expect((await client.untilClosed()).match(/200 OK/g)).toHaveLength(2);
  });

  it('of more than 64 KiB streams', async ({ expect }) => {
    const harness = await start();
    deployEcho(harness);
    const client = await harness.socket();
    const body = 'x'.repeat(64 * 1024 + 1);
    client.send(GET + post(body) + post('y', 'Connection: close\r\n'));
    const received = await client.untilClosed();
    expect(came(received)).toEqual(['not', 'as a stream', 'as a stream']);
    expect(received).toContain(`<${body}>`);
    expect(received).toContain('<y>');
  });

  it('that is longer than the function takes is refused, and the connection closed', async ({ expect }) => {
    const harness = await start();
    harness.deploy('hello', () => whole('hi'), {
      limits: { bodyLimitBytes: 3 },
      route: { methods: ['POST'] },
    });
    const client = await harness.socket();
    client.send(post('abc') + post('abcd') + GET);
    const received = await client.untilClosed();
    expect([...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '413']);
  });

  it('that ends with its client is refused by node:http', async ({ expect }) => {
    const harness = await start();
    deployEcho(harness);
    const client = await harness.socket();
    client.socket.end(GET + post('body').slice(0, -2), 'latin1');
    const received = await client.untilClosed();
    expect([...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '400']);
  });

  it.for([
    [
      'Transfer-Encoding beside Content-Length',
      post('4\r\nbody\r\n0\r\n\r\n', 'Transfer-Encoding: chunked\r\n'),
    ],
    ['two Content-Lengths', post('body', 'Content-Length: 5\r\n')],
    ['two equal Content-Lengths', post('body', 'Content-Length: 4\r\n')],
    ['a Content-Length that is a list', post('body').replace('Length: 4', 'Length: 4, 4')],
    ['a Content-Length with a sign', post('body').replace('Length: 4', 'Length: +4')],
  ] as const)('is refused by node:http after those before: %s', async ([, bytes], { expect }) => {
    const harness = await start();
    let calls = 0;
    const invoker = atOnce(() => {
      calls++;
      return whole('hi');
    });
    harness.deploy('hello', { phase: 'ready', invoker }, { route: { methods: ['GET', 'POST'] } });
    const client = await harness.socket();
    client.send(post('first'));
    await client.until(/hi$/);
    client.socket.end(bytes, 'latin1');
    const received = await client.untilClosed();
    expect([...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '400']);
    expect(calls).toBe(1);
  });

  it('that is half there when the listener closes is served, and its connection closed', async ({
    expect,
  }) => {
    const harness = await start();
    deployEcho(harness);
    const client = await harness.socket();
    client.send(GET);
    await client.until(/<none>/);
    client.send(post('body').slice(0, -2));
    const closed = harness.router.close({ graceMs: 5000 });
    client.send('dy');
    expect(await client.untilClosed()).toMatch(
      /HTTP\/1\.1 200 [^]*HTTP\/1\.1 200 [^]*Connection: close[^]*body/,
    );
    await closed;
  });
});

describe('an answer of a quick connection', () => {
  it('streams, and the connection is used again', async ({ expect }) => {
    const harness = await start();
    harness.deploy('hello', () => answer({ body: Readable.from(['a', 'b']) }));
    const client = await harness.socket();
    client.send(GET + GET);
    await client.until(/0\r\n\r\n[^]*0\r\n\r\n/);
    expect(client.received.match(/Transfer-Encoding: chunked/gi)).toHaveLength(2);
  });

  it('has the function’s date, or one of its own', async ({ expect }) => {
    const harness = await start();
    let headers: [string, string][] = [];
    const invoker = atOnce(() => whole('hi', { headers }));
    harness.deploy('hello', { phase: 'ready', invoker });
    const own = await harness.ask('/hello');
    expect(Math.abs(Date.parse(own.headers.date ?? '') - Date.now())).toBeLessThan(3000);
    headers = [['Date', 'Thu, 01 Jan 1970 00:00:00 GMT']];
    const given = await harness.ask('/hello');
    expect(given.rawHeaders.filter((name) => name.toLowerCase() === 'date')).toHaveLength(1);
    expect(given.headers.date).toBe('Thu, 01 Jan 1970 00:00:00 GMT');
  });

  it('has no body and no length for HEAD', async ({ expect }) => {
    const harness = await start();
    const invoker = atOnce(() => whole('hi'));
    harness.deploy('hello', { phase: 'ready', invoker }, { route: { methods: ['HEAD'] } });
    const client = await harness.socket();
    client.send('HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const received = await client.untilClosed();
    expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
    expect(received).not.toMatch(/content-length|hi/i);
  });

  it('waits for a client that does not read, and the next request with it', async ({ expect }) => {
    const harness = await start();
    let calls = 0;
    const body = 'x'.repeat(8 * 1024 * 1024);
    const invoker = atOnce(() => {
      calls++;
      return whole(body);
    });
    harness.deploy('hello', { phase: 'ready', invoker });
    const client = await harness.socket();
    client.socket.pause();
    client.send(GET + GET);
    while (calls === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    // Other connections are served meanwhile; had this one gone on, it would have by then.
    expect((await harness.ask('/nowhere')).status).toBe(404);
    expect(calls).toBe(1);
    client.socket.resume();
    while (calls === 1) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(calls).toBe(2);
  });
});

describe('a client that goes', () => {
  it('ends its call', async ({ expect }) => {
    const harness = await start();
    const aborted = Promise.withResolvers<unknown>();
    const called = Promise.withResolvers<void>();
    harness.deploy('hello', ({ signal }) => {
      signal.addEventListener('abort', () => aborted.resolve(signal.reason));
      called.resolve();
      return new Promise(() => undefined);
    });
    const client = await harness.socket();
    client.send(GET);
    await called.promise;
    client.close();
    expect(await aborted.promise).toMatchObject({ code: 'CLIENT_GONE' });
  });
});

describe('QuickConnection.tick', () => {
  it('closes a connection that was idle for too long, earlier before its first request', async ({
    expect,
  }) => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const address = server.address();
    const client = connect(typeof address === 'object' && address ? address.port : 0, '127.0.0.1');
    onTestFinished(() => void client.destroy());
    while (sockets.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const [socket] = sockets;
    if (!socket) throw new Error('no connection');
    const handled: QuickExchange[] = [];
    const hooks: QuickHooks = {
      handle: (exchange) => handled.push(exchange),
      closing: () => false,
      handOver: () => undefined,
      began: () => undefined,
      ended: () => undefined,
      closed: () => undefined,
      alone: () => false,
    };
    const connection = new QuickConnection(socket, hooks);
    client.write(GET);
    while (handled.length === 0) await new Promise((resolve) => setImmediate(resolve));
    // In flight: however long that takes.
    for (let at = 0; at < 10; at++) connection.tick(3, 1);
    handled[0]?.sendWhole(200, ['content-length', '0'], false, null);
    for (let at = 0; at < 3; at++) connection.tick(3, 1);
    expect(socket.destroyed).toBe(false);
    connection.tick(3, 1);
    expect(socket.destroyed).toBe(true);
  });
});
