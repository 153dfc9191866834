import { once } from 'node:events';
import { createServer as createHttpServer, type Server } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { Pool } from 'undici';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocketServer } from 'ws';
import { requestSigner } from '../auth/request-signer.ts';
import { signatureGate } from '../auth/signature-gate.ts';
import { FissiumError } from '../errors.ts';
import { proxy } from '../executors/http-proxy.ts';
import type { Invoker } from '../executors/executor.ts';
import { createMetrics, LogStore } from '../observe/index.ts';
import { createInternalListener } from './internal.ts';
import { RawClient, silent, startRouter, whole, type Harness } from './testing/harness.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const HANDSHAKE =
  `GET /fn HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`;

let harness: Harness;
beforeEach(async () => {
  harness = await startRouter();
});
afterEach(() => harness.close());

/** A function in a server of its own, as a pod has it. */
async function functionAt(server: Server): Promise<Invoker & { running: number }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(async () => {
    await pool.destroy();
    server.closeAllConnections();
    server.close();
  });
  const target = {
    pool,
    failure: (cause: unknown) => Promise.resolve(new FissiumError('FUNCTION_FAILED', String(cause))),
  };
  const fn = {
    upgrades: true,
    running: 0,
    invoke: (request: Parameters<Invoker['invoke']>[0]) => {
      fn.running++;
      const call = proxy(target, request, { coldStart: false });
      void call.done.then(() => fn.running--);
      return call.response;
    },
  };
  return fn;
}

/** Echoes messages, on connections that it keeps. */
async function echo(): Promise<{ fn: Invoker & { running: number }; sockets: WebSocketServer }> {
  const server = createHttpServer((req, res) => res.end(`plain ${req.url}`));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (ws) => ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })));
  onTestFinished(() => sockets.close());
  return { fn: await functionAt(server), sockets };
}

/** Speaks a protocol of its own: `handle` has the connection once it is switched. */
async function raw(handle: (socket: Duplex) => void): Promise<Invoker & { running: number }> {
  const server = createHttpServer();
  const open = new Set<Duplex>();
  server.on('upgrade', (_req, socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines/1\r\n\r\n');
    handle(socket);
  });
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
  });
  return functionAt(server);
}

function open(port: number, path = '/fn'): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  onTestFinished(() => socket.close());
  return new Promise((resolve, reject) => {
    socket.addEventListener('open', () => resolve(socket));
    socket.addEventListener('error', () => reject(new Error('the WebSocket was refused')));
  });
}

function message(socket: WebSocket): Promise<unknown> {
  return new Promise((resolve, reject) => {
    socket.addEventListener('message', ({ data }) => resolve(data), { once: true });
    socket.addEventListener('close', ({ code }) => reject(new Error(`closed: ${code}`)), { once: true });
  });
}

function closing(socket: WebSocket): Promise<{ code: number; wasClean: boolean }> {
  return new Promise((resolve) => {
    socket.addEventListener('close', ({ code, wasClean }) => resolve({ code, wasClean }), { once: true });
  });
}

const LINES = 'GET /fn HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: lines/1\r\n\r\n';

async function rawClient(text: string): Promise<Socket> {
  const socket = connect({ port: harness.port, host: '127.0.0.1', allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'connect');
  return socket;
}

describe('a WebSocket to a function', () => {
  it('carries messages both ways, behind other requests of its connection, and counts as a call until it ends', async () => {
    const { fn } = await echo();
    harness.deploy('fn', { phase: 'ready', invoker: fn });
    const socket = await open(harness.port);
    expect(fn.running).toBe(1);
    for (const text of ['one', 'two', 'x'.repeat(200_000)]) {
      const got = message(socket);
      socket.send(text);
      expect(await got).toBe(text);
    }
    const closed = closing(socket);
    socket.close(1000, 'done');
    expect(await closed).toEqual({ code: 1000, wasClean: true });
    await expect.poll(() => fn.running).toBe(0);
    await expect.poll(() => [...harness.router.services.admission.loads()]).toEqual([]);
    expect((await harness.ask('/fn')).text).toBe('plain /');
  });

  it('is served on a connection that had plain requests, with bytes that come with the handshake', async () => {
    const { fn, sockets } = await echo();
    harness.deploy('fn', { phase: 'ready', invoker: fn });
    const client = await harness.socket();
    client.send('GET /fn HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until(/plain \/$/);
    const got = once(sockets, 'connection');
    // The frame of a text "hi", masked with zeros.
    client.send(`${HANDSHAKE}\x81\x82\0\0\0\0hi`);
    const received = await client.until(/\x81.hi$/s);
    expect(received).toMatch(/HTTP\/1\.1 101 Switching Protocols\r\n(?:.*\r\n)*Upgrade: websocket\r\n/);
    expect(received).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    const [, req] = (await got) as [unknown, { headers: Record<string, string> }];
    expect(req.headers).toMatchObject({ host: 'x', 'x-fission-function-name': 'fn', upgrade: 'websocket' });
  });

  it('waits for the answers to requests that were sent before it on its connection', async () => {
    const { fn } = await echo();
    harness.deploy('fn', { phase: 'ready', invoker: fn });
    const { promise, resolve } = Promise.withResolvers<void>();
    harness.deploy('slow', async () => {
      await promise;
      return whole('slow');
    });
    const client = await harness.socket();
    // Chunked, so that node:http reads it.
    const slow = 'GET /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    client.send(`${slow}${slow}${HANDSHAKE}\x81\x82\0\0\0\0hi`);
    await expect.poll(() => harness.router.services.admission.requests).toBe(2);
    resolve();
    expect(await client.until(/\x81.hi$/s)).toMatch(/^HTTP\/1.1 200 [^]*slow[^]*slow[^]*HTTP\/1.1 101 /);
  });

  it('is let in by name where it is signed, and refused where it is not', async () => {
    const { fn } = await echo();
    harness.deploy('fn', { phase: 'ready', invoker: fn });
    const auth = { current: 'of this installation', previous: null };
    const folder = await mkdtemp(join(tmpdir(), 'fissium-upgrade-'));
    const logs = new LogStore({ folder });
    const metrics = createMetrics({ processMetrics: false });
    const internal = createInternalListener({
      services: harness.router.services,
      logger: silent,
      metrics,
      logs,
      version: '',
      ready: () => true,
      gate: signatureGate('router-internal', auth, 'the internal listener'),
    });
    const port = await internal.listen('127.0.0.1', 0);
    onTestFinished(async () => {
      await internal.close({ graceMs: 0 });
      await logs.close();
      metrics.close();
      await rm(folder, { recursive: true });
    });
    const path = '/fission-function/fn';
    const ask = async (fields: Readonly<Record<string, string>>): Promise<RawClient> => {
      const client = await RawClient.open(port);
      onTestFinished(() => client.close());
      const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
      client.send(
        `${HANDSHAKE.replace('/fn', path).replace('Host: x\r\n', `Host: x\r\n${lines.join('')}`)}\x81\x82\0\0\0\0hi`,
      );
      return client;
    };
    const signed = await ask(requestSigner('router-internal', auth.current)('GET', path));
    expect(await signed.until(/\x81.hi$/s)).toContain('101 Switching');
    const unsigned = await ask({});
    expect(await unsigned.untilClosed()).toMatch(/^HTTP\/1\.1 401 [^]*NOT_SIGNED/);
  });

  it('has bytes wait for a function that is only being started', async () => {
    const { fn } = await echo();
    harness.deploy('fn', { phase: 'preparing' });
    const client = await harness.socket();
    client.send(`${HANDSHAKE}\x81\x82\0\0\0\0hi`);
    client.send('\x81\x81\0\0\0\0!');
    // It is admitted, and waits.
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    harness.deploy('fn', { phase: 'ready', invoker: fn });
    expect(await client.until(/\x81.hi\x81.!$/s)).toContain('101 Switching');
  });

  it('is told to go elsewhere when the router is drained, and its function hears of it', async () => {
    const { fn, sockets } = await echo();
    harness.deploy('fn', { phase: 'ready', invoker: fn });
    const heard = new Promise<number>((resolve) => {
      sockets.on('connection', (ws) => ws.on('close', resolve));
    });
    const socket = await open(harness.port);
    const closed = closing(socket);
    await harness.router.close({ graceMs: 5_000 });
    expect(await closed).toEqual({ code: 1001, wasClean: true });
    expect(await heard).toBe(1001);
    expect(fn.running).toBe(0);
  });

  it(
    'is told to go elsewhere as soon as it is open, where the drain has begun before',
    { timeout: 15_000 },
    async () => {
      const { fn } = await echo();
      harness.deploy('fn', { phase: 'preparing' });
      const client = await harness.socket();
      client.send(HANDSHAKE);
      await expect.poll(() => harness.router.services.admission.requests).toBe(1);
      const drained = harness.router.close({ graceMs: 20_000 });
      harness.deploy('fn', { phase: 'ready', invoker: fn });
      const received = await client.untilClosed();
      expect(received).toContain('101 Switching');
      // A close frame with 1001 (RFC 6455 section 5.5.1).
      expect(received).toContain('\x88\x02\x03\xe9');
      await drained;
    },
  );

  it('is closed when nothing moved for longer than its function allows', async () => {
    const { fn } = await echo();
    harness.deploy('fn', { phase: 'ready', invoker: fn }, { limits: { totalTimeoutMs: 100 } });
    const socket = await open(harness.port);
    const { code } = await closing(socket);
    expect(code).toBe(1001);
    await expect.poll(() => fn.running).toBe(0);
  });

  it('is refused with what the function answers, where that does not switch', async () => {
    const server = createHttpServer();
    server.on('upgrade', (_req, socket) => {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nX-Why: not\r\n\r\nno way');
    });
    harness.deploy('fn', { phase: 'ready', invoker: await functionAt(server) });
    const client = await harness.socket();
    client.send(HANDSHAKE);
    const received = await client.untilClosed();
    expect(received).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(received).toContain('X-Why: not');
    expect(received).toMatch(/\r\n\r\nno way$/);
  });

  it('is refused with 502 where the function breaks off, and with the reasons of any call', async () => {
    const server = createHttpServer();
    server.on('upgrade', (_req, socket) => socket.destroy());
    harness.deploy('fn', { phase: 'ready', invoker: await functionAt(server) });
    const client = await harness.socket();
    client.send(HANDSHAKE);
    expect(await client.untilClosed()).toMatch(/^HTTP\/1\.1 502 [^]*"code":"FUNCTION_FAILED"/);
    const other = await harness.socket();
    other.send(HANDSHAKE.replace('/fn', '/nowhere'));
    expect(await other.untilClosed()).toMatch(/^HTTP\/1\.1 404 [^]*"code":"NO_ROUTE"/);
    harness.deploy(
      'busy',
      { phase: 'ready', invoker: await raw(() => undefined) },
      { limits: { concurrency: 1, queue: 0 } },
    );
    const first = await harness.socket();
    first.send(LINES.replace('/fn', '/busy'));
    await first.until(/101 /);
    const second = await harness.socket();
    second.send(LINES.replace('/fn', '/busy'));
    expect(await second.untilClosed()).toMatch(/^HTTP\/1\.1 429 /);
  });

  it('is refused with 501 by a function that cannot take it; offers that servers pass over are', async () => {
    harness.deploy('fn', () => whole('plain'));
    const client = await harness.socket();
    client.send(HANDSHAKE);
    const refused = await client.untilClosed();
    expect(refused).toMatch(/^HTTP\/1\.1 501 [^]*"code":"UPGRADE_NOT_SERVED"/);
    expect(refused).toContain('runs in WebAssembly');
    for (const offer of ['h2c', 'TLS/1.2', 'HTTP/2.0, h2c']) {
      const other = await harness.socket();
      other.send(LINES.replace('lines/1', offer).replace('Host: x', 'Host: x\r\nX: y'));
      await other.until(/200 OK[^]*plain$/);
    }
  });
});

describe('another protocol', () => {
  it('is relayed as it is, each direction ending by itself', async () => {
    let seen = '';
    const fn = await raw((socket) => {
      socket.on('data', (chunk) => (seen += String(chunk)));
      socket.on('end', () => socket.end(`bye after ${seen}`));
    });
    harness.deploy('fn', { phase: 'ready', invoker: fn });
    const client = await rawClient(`${LINES}early `);
    const chunks: Buffer[] = [];
    client.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(client, 'data');
    client.end('late');
    await once(client, 'end');
    const received = String(Buffer.concat(chunks));
    expect(received).toContain('Upgrade: lines/1\r\n');
    expect(received).toMatch(/\r\n\r\nbye after early late$/);
    await expect.poll(() => fn.running).toBe(0);
  });

  it('lets the client send on when the function has ended its direction', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const fn = await raw((socket) => {
      (socket as Socket).allowHalfOpen = true;
      let seen = '';
      socket.on('data', (chunk) => (seen += String(chunk)));
      socket.on('end', () => resolve(seen));
      socket.end('that is all');
    });
    harness.deploy('fn', { phase: 'ready', invoker: fn });
    const client = await rawClient(LINES);
    client.resume();
    await once(client, 'end');
    client.end('still here');
    expect(await promise).toBe('still here');
    await expect.poll(() => fn.running).toBe(0);
  });

  it.each(['client', 'function'])('is read no faster than the %s reads', async (slow) => {
    const bytes = 64 * 1024 * 1024;
    let taken = 0;
    let stalled: Duplex | null = null as Duplex | null;
    const flood = (socket: Duplex): void => {
      const chunk = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (taken < bytes && socket.writable) {
          taken += chunk.length;
          if (!socket.write(chunk)) break;
        }
      };
      socket.on('drain', more);
      more();
    };
    const fn = await raw((socket) => {
      if (slow === 'client') flood(socket);
      else {
        socket.on('end', () => socket.end());
        socket.pause();
        stalled = socket;
      }
    });
    harness.deploy('fn', { phase: 'ready', invoker: fn });
    const client = await rawClient(LINES);
    if (slow === 'client') client.pause();
    else {
      await once(client, 'data');
      flood(client);
    }
    let before = -1;
    await expect
      .poll(
        () => {
          const stands = taken > 0 && taken === before;
          before = taken;
          return stands;
        },
        { interval: 200 },
      )
      .toBe(true);
    expect(taken).toBeLessThan(bytes / 2);
    client.destroy();
    // What it has not read stands before the end.
    stalled?.resume();
    await expect.poll(() => fn.running).toBe(0);
  });

  it('ends at the other side when one is gone', async () => {
    const fn = await raw((socket) => void setImmediate(() => socket.destroy()));
    harness.deploy('fn', { phase: 'ready', invoker: fn });
    const client = await rawClient(LINES);
    client.resume();
    await once(client, 'end');
    client.end();
    await expect.poll(() => fn.running).toBe(0);
  });
});
