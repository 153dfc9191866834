import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createCa, createServerCertificate } from '../../../../src/apiserver/certificates.ts';
import { OUTBOUND_REQUESTS_CAP } from '../limits.ts';
import type { OutputStream } from '../streams.ts';
import { MemoryInvocation } from '../testing/memory-invocation.ts';
import { Fields } from './fields.ts';
import { IncomingBody, type IncomingResponse } from './incoming.ts';
import { FutureIncomingResponse, handle } from './outgoing-handler.ts';
import { OutgoingRequest, RequestOptions } from './outgoing-request.ts';
import { OutgoingBody } from './outgoing.ts';

const servers: (Server | TcpServer)[] = [];
const sockets: Socket[] = [];
const invocations: MemoryInvocation[] = [];

afterEach(async () => {
  for (const { state } of invocations.splice(0)) {
    state.close();
    await state.egress.close();
  }
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(
    servers.splice(0).map(async (server) => new Promise<void>((resolve) => server.close(() => resolve()))),
  );
});

async function listen<Any extends Server | TcpServer>(server: Any): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

const serve = async (listener: RequestListener): Promise<number> => listen(createServer(listener));

function guest(allowedOutboundHosts: string[]): MemoryInvocation {
  const invocation = new MemoryInvocation({ grants: { allowedOutboundHosts } });
  invocations.push(invocation);
  return invocation;
}

interface RequestParts {
  method?: 'get' | 'post' | 'head' | 'connect';
  path?: string;
  scheme?: 'HTTP' | 'HTTPS';
  headers?: [string, string][];
}

function request({ state }: MemoryInvocation, authority: string, parts: RequestParts = {}): OutgoingRequest {
  const headers = new Fields(state);
  for (const [name, value] of parts.headers ?? []) headers.append(name, Buffer.from(value));
  const made = new OutgoingRequest(headers);
  made.setAuthority(authority);
  made.setScheme({ tag: parts.scheme ?? 'HTTP' });
  made.setMethod({ tag: parts.method ?? 'get' });
  made.setPathWithQuery(parts.path);
  return made;
}

async function outcomeOf(future: ReturnType<typeof handle>): Promise<IncomingResponse | string> {
  if (future.tag === 'err') return future.val.tag;
  await future.val.subscribe().block();
  const outcome = future.val.get();
  if (outcome?.tag !== 'ok') throw new Error('no outcome');
  return outcome.val.tag === 'ok' ? outcome.val.val : outcome.val.val.tag;
}

async function responseTo(invocation: MemoryInvocation, sent: OutgoingRequest): Promise<IncomingResponse> {
  const outcome = await outcomeOf(handle(invocation.state, sent, undefined));
  if (typeof outcome === 'string') throw new Error(outcome);
  return outcome;
}

async function textOf(response: IncomingResponse): Promise<string> {
  const body = response.consume();
  const stream = body.tag === 'ok' ? body.val.stream() : body;
  if (stream.tag === 'err') throw new Error('no body');
  let text = '';
  for (;;) {
    const read = await stream.val.blockingRead(1_000_000n);
    if (read.tag === 'ok') text += Buffer.from(read.val).toString();
    else return read.val.tag === 'closed' ? text : `${text} failed: ${read.val.val.httpErrorCode?.tag}`;
  }
}

/** A POST with a trailer, up to its body's end. */
function trailing(
  invocation: MemoryInvocation,
  port: number,
  headers: [string, string][],
): { future: ReturnType<typeof handle>; stream: OutputStream; finish: () => unknown } {
  const sent = request(invocation, `127.0.0.1:${port}`, { method: 'post', path: '/sum', headers });
  const body = sent.body();
  const stream = body.tag === 'ok' ? body.val.write() : body;
  if (body.tag === 'err' || stream.tag === 'err') throw new Error('no body');
  return {
    future: handle(invocation.state, sent, undefined),
    stream: stream.val,
    finish: () => {
      stream.val[Symbol.dispose]();
      const trailers = new Fields(invocation.state);
      trailers.append('x-sum', Buffer.from('it adds up'));
      return OutgoingBody.finish(body.val, trailers);
    },
  };
}

describe('an outbound request', () => {
  it('carries trailers where a Trailer field announces them', async () => {
    const seen: IncomingMessage[] = [];
    const port = await serve((message, response) => {
      seen.push(message);
      let length = 0;
      message.on('data', (chunk: Buffer) => (length += chunk.length));
      message.on('end', () => {
        response.writeHead(200, [['Trailer', 'X-Back']]);
        response.write(`${length} bytes`);
        response.addTrailers([['X-Back', String(message.trailers['x-sum'])]]);
        response.end();
      });
    });
    const invocation = guest([`http://127.0.0.1:${port}`]);
    const before = trailing(invocation, port, [['trailer', 'x-sum']]);
    const chunk = Buffer.alloc(4096, 1);
    for (let i = 0; i < 100; i += 1) await before.stream.blockingWriteAndFlush(chunk);
    expect(before.finish()).toEqual({ tag: 'ok', val: undefined });
    const response = await outcomeOf(before.future);
    if (typeof response === 'string') throw new Error(response);
    const consumed = response.consume();
    const stream = consumed.tag === 'ok' ? consumed.val.stream() : consumed;
    if (consumed.tag === 'err' || stream.tag === 'err') throw new Error('no body');
    const read = await stream.val.blockingRead(100n);
    expect(read.tag === 'ok' && Buffer.from(read.val).toString()).toBe('409600 bytes');
    stream.val[Symbol.dispose]();
    const trailers = IncomingBody.finish(consumed.val);
    await trailers.subscribe().block();
    const got = trailers.get();
    if (got?.tag !== 'ok' || got.val.tag !== 'ok') throw new Error('no trailers');
    expect(got.val.val?.entries()).toEqual([['x-back', Buffer.from('it adds up')]]);
    const [message] = seen;
    expect([message?.method, message?.url, message?.headers]).toEqual([
      'POST',
      '/sum',
      { host: `127.0.0.1:${port}`, connection: 'close', 'transfer-encoding': 'chunked', trailer: 'x-sum' },
    ]);
    expect(invocation.state.outboundRequests).toBe(0);
  });

  it.each<[string, [string, string][]]>([
    ['without a Trailer field', []],
    [
      'with a Content-Length',
      [
        ['trailer', 'x-sum'],
        ['content-length', '0'],
      ],
    ],
  ])('%s has no trailers, and says so', async (_, headers) => {
    const port = await serve((_message, response) => response.end());
    const sent = trailing(guest([`http://127.0.0.1:${port}`]), port, headers);
    expect(sent.finish()).toMatchObject({
      tag: 'err',
      val: { tag: 'internal-error', val: expect.stringMatching(/Trailer header field/) as unknown },
    });
  });

  it('with trailers is denied, fails and is broken off like any other', async () => {
    const denied = trailing(guest([]), 1, [['trailer', 'x-sum']]);
    expect(await outcomeOf(denied.future)).toBe('HTTP-request-denied');
    const server = createTcpServer();
    const port = await listen(server);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    const refused = trailing(guest([`http://127.0.0.1:${port}`]), port, [['trailer', 'x-sum']]);
    expect(await outcomeOf(refused.future)).toBe('connection-refused');

    const ended: boolean[] = [];
    const begun = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    const other = await serve((message) => {
      begun.resolve();
      message.on('error', () => undefined);
      message.on('close', () => {
        ended.push(message.complete);
        closed.resolve();
      });
      message.resume();
    });
    const invocation = guest([`http://127.0.0.1:${other}`]);
    const broken = trailing(invocation, other, [['trailer', 'x-sum']]);
    await broken.stream.blockingWriteAndFlush(Buffer.from('half'));
    await begun.promise;
    invocation.state.close();
    await closed.promise;
    expect(ended).toEqual([false]);
  });

  it('carries method, path, headers and body, and brings status, headers, body and trailers', async () => {
    const seen: { message: IncomingMessage; body: string }[] = [];
    const port = await serve((message, response) => {
      let body = '';
      message.on('data', (chunk: Buffer) => (body += chunk.toString()));
      message.on('end', () => {
        seen.push({ message, body });
        response.writeHead(203, [
          ['Trailer', 'X-Sum'],
          ['X-A', '1'],
          ['X-A', '2'],
        ]);
        response.write('hello ');
        response.addTrailers([['X-Sum', '11']]);
        response.end('there');
      });
    });
    const invocation = guest([`http://127.0.0.1:${port}`]);
    const sent = request(invocation, `127.0.0.1:${port}`, {
      method: 'post',
      path: '/a?b=c',
      headers: [
        ['x-b', '3'],
        ['x-b', '4'],
        ['expect', '100-continue'],
      ],
    });
    const body = sent.body();
    if (body.tag === 'err') throw new Error('no body');
    const future = handle(invocation.state, sent, undefined);
    const stream = body.val.write();
    if (stream.tag === 'err') throw new Error('no stream');
    await stream.val.blockingWriteAndFlush(Buffer.from('from '));
    await stream.val.blockingWriteAndFlush(Buffer.from('guest'));
    stream.val[Symbol.dispose]();
    expect(OutgoingBody.finish(body.val, undefined).tag).toBe('ok');
    const response = await outcomeOf(future);
    if (typeof response === 'string') throw new Error(response);
    expect(future.tag === 'ok' && future.val.get()).toEqual({ tag: 'err', val: undefined });
    expect(response.status()).toBe(203);
    const names = response.headers().get('x-a');
    expect(names.map((value) => Buffer.from(value).toString())).toEqual(['1', '2']);
    expect(response.headers().has('transfer-encoding')).toBe(false);
    const consumed = response.consume();
    if (consumed.tag === 'err') throw new Error('no body');
    const trailers = IncomingBody.finish(consumed.val);
    await trailers.subscribe().block();
    const got = trailers.get();
    if (got?.tag !== 'ok' || got.val.tag !== 'ok') throw new Error('no trailers');
    expect(got.val.val?.entries()).toEqual([['x-sum', Buffer.from('11')]]);
    const [first] = seen;
    expect([first?.message.method, first?.message.url, first?.body]).toEqual([
      'POST',
      '/a?b=c',
      'from guest',
    ]);
    expect(first?.message.headers['x-b']).toBe('3, 4');
    expect(invocation.state.outboundRequests).toBe(0);
  });

  it('is denied where the spec does not name its host, port or scheme, and says what would allow it', async () => {
    const invocation = guest(['https://api.example.com', '*.example.org:8080']);
    const outcomes = [
      request(invocation, 'api.example.com'),
      request(invocation, 'api.example.com:8443', { scheme: 'HTTPS' }),
      request(invocation, 'example.org:8080'),
      request(invocation, 'evil-example.org:8080'),
      request(invocation, '127.0.0.1'),
    ].map(async (each) => outcomeOf(handle(invocation.state, each, undefined)));
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['HTTP-request-denied']));
    expect(invocation.stderr).toMatch('would need "http://api.example.com:80"');
  });

  it('does not reach private addresses by another spelling or a name, only where they are named', async () => {
    const port = await serve((_request, response) => response.end('reached'));
    const wild = guest([`*.localhost:${port}`, `http://127.0.0.2:${port}`]);
    for (const authority of ['0x7f.1', '2130706433', '[::ffff:127.0.0.1]', '127.0.0.1']) {
      const outcome = await outcomeOf(handle(wild.state, request(wild, `${authority}:${port}`), undefined));
      expect(outcome, authority).toBe('HTTP-request-denied');
    }
    const byName = await outcomeOf(handle(wild.state, request(wild, `a.localhost:${port}`), undefined));
    expect(['destination-IP-prohibited', 'DNS-error']).toContain(byName);

    const named = guest([`http://localhost:${port}`, `http://127.0.0.1:${port}`]);
    expect(await textOf(await responseTo(named, request(named, `localhost:${port}`)))).toBe('reached');
    expect(await textOf(await responseTo(named, request(named, `0x7f.1:${port}`)))).toBe('reached');
  });

  it('does not follow redirects', async () => {
    const paths: (string | undefined)[] = [];
    const port = await serve((message, response) => {
      paths.push(message.url);
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    const invocation = guest([`http://127.0.0.1:${port}`]);
    const response = await responseTo(invocation, request(invocation, `127.0.0.1:${port}`));
    expect([response.status(), paths]).toEqual([302, ['/']]);
  });

  it('uses a connection again, and a proxy of the environment never', async () => {
    const connections = new Set<Socket>();
    const port = await serve((message, response) => {
      connections.add(message.socket);
      response.end('direct');
    });
    process.env['HTTP_PROXY'] = 'http://127.0.0.1:1';
    try {
      const invocation = guest([`http://127.0.0.1:${port}`]);
      for (let count = 0; count < 6; count += 1) {
        expect(await textOf(await responseTo(invocation, request(invocation, `127.0.0.1:${port}`)))).toBe(
          'direct',
        );
      }
      // undici lets a connection rest for one turn of the loop, in which a second one is made.
      expect(connections.size).toBeLessThanOrEqual(2);
    } finally {
      delete process.env['HTTP_PROXY'];
    }
  });

  it('fails with the error-code of what went wrong', async () => {
    const closing = await listen(createTcpServer((socket) => socket.destroy()));
    const garbage = await listen(createTcpServer((socket) => socket.end('no http at all\r\n\r\n')));
    const refused = createTcpServer();
    const refusedPort = await listen(refused);
    await new Promise((resolve) => refused.close(resolve));
    servers.splice(servers.indexOf(refused), 1);
    const invocation = guest([
      ...[closing, garbage, refusedPort].flatMap((port) => [
        `http://127.0.0.1:${port}`,
        `https://127.0.0.1:${port}`,
      ]),
      'http://nothing.invalid',
    ]);
    const send = async (authority: string, parts?: RequestParts): Promise<IncomingResponse | string> =>
      outcomeOf(handle(invocation.state, request(invocation, authority, parts), undefined));
    expect(await send(`127.0.0.1:${closing}`)).toBe('connection-terminated');
    expect(await send(`127.0.0.1:${garbage}`)).toBe('HTTP-protocol-error');
    expect(await send(`127.0.0.1:${garbage}`, { scheme: 'HTTPS' })).toBe('TLS-protocol-error');
    expect(await send(`127.0.0.1:${refusedPort}`)).toBe('connection-refused');
    expect(['DNS-error', 'DNS-timeout']).toContain(await send('nothing.invalid'));
    expect(await send(`127.0.0.1:${closing}`, { method: 'connect' })).toBe('HTTP-request-method-invalid');
    expect(await send('')).toBe('HTTP-request-URI-invalid');
  });

  it('does not trust a server whose certificate nobody vouches for', async () => {
    const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
    const ca = await createCa(validity);
    const files = await createServerCertificate(ca, ['localhost', '127.0.0.1'], validity);
    const port = await listen(
      createTlsServer({ cert: files.certificate, key: files.key }, (_request, response) => response.end()),
    );
    const invocation = guest([`https://127.0.0.1:${port}`]);
    const sent = request(invocation, `127.0.0.1:${port}`, { scheme: 'HTTPS' });
    expect(await outcomeOf(handle(invocation.state, sent, undefined))).toBe('TLS-certificate-error');
  });

  it('ends by the guest’s timeouts: first byte, and between bytes', async () => {
    const port = await serve((message, response) => {
      if (message.url === '/stalls') response.write('first');
    });
    const invocation = guest([`http://127.0.0.1:${port}`]);
    const options = (): RequestOptions => {
      const made = new RequestOptions(invocation.state);
      made.setFirstByteTimeout(20_000_000n);
      made.setBetweenBytesTimeout(20_000_000n);
      return made;
    };
    const silent = handle(invocation.state, request(invocation, `127.0.0.1:${port}`), options());
    expect(await outcomeOf(silent)).toBe('HTTP-response-timeout');
    const stalls = request(invocation, `127.0.0.1:${port}`, { path: '/stalls' });
    const response = await outcomeOf(handle(invocation.state, stalls, options()));
    if (typeof response === 'string') throw new Error(response);
    expect(await textOf(response)).toBe('first failed: connection-read-timeout');
  });

  it('fails its body where the server breaks off', async () => {
    const port = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('some', () => response.destroy());
    });
    const invocation = guest([`http://127.0.0.1:${port}`]);
    const response = await responseTo(invocation, request(invocation, `127.0.0.1:${port}`));
    expect(await textOf(response)).toBe('some failed: connection-terminated');
  });

  it('reads the response no faster than the guest', async () => {
    let written = 0;
    const port = await serve((_request, response) => {
      const more = (): void => {
        while (written < 64 << 20) {
          written += 65_536;
          if (!response.write(Buffer.alloc(65_536))) return;
        }
      };
      response.on('drain', more);
      more();
    });
    const invocation = guest([`http://127.0.0.1:${port}`]);
    const response = await responseTo(invocation, request(invocation, `127.0.0.1:${port}`));
    const body = response.consume();
    const stream = body.tag === 'ok' ? body.val.stream() : body;
    if (stream.tag === 'err') throw new Error('no body');
    await stream.val.blockingRead(1n);
    let before = -1;
    while (before !== written) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // What is left is what the kernel's socket buffers hold.
    expect(written).toBeLessThan(32 << 20);
  });

  it('ends with the invocation, wherever it is', async () => {
    const gone = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const port = await serve((message) => {
      message.socket.on('close', () => gone.resolve());
      arrived.resolve();
    });
    const invocation = guest([`http://127.0.0.1:${port}`]);
    const outcome = outcomeOf(handle(invocation.state, request(invocation, `127.0.0.1:${port}`), undefined));
    void arrived.promise.then(() => invocation.abort.abort());
    await expect(outcome).rejects.toThrow('the invocation has ended');
    await gone.promise;
    expect(invocation.state.outboundRequests).toBe(0);
  });

  it('ends where the guest drops its future or its response', async () => {
    const gone: Promise<void>[] = [];
    const port = await serve((message, response) => {
      gone.push(new Promise((resolve) => message.socket.on('close', () => resolve())));
      response.write('never ends');
    });
    const invocation = guest([`http://127.0.0.1:${port}`]);
    const response = await responseTo(invocation, request(invocation, `127.0.0.1:${port}`));
    response[Symbol.dispose]();
    await gone[0];
    const future = handle(invocation.state, request(invocation, `127.0.0.1:${port}`), undefined);
    if (future.tag === 'err') throw new Error(future.val.tag);
    expect(future.val).toBeInstanceOf(FutureIncomingResponse);
    await future.val.subscribe().block();
    future.val.state.close();
    await gone[1];
  });

  it('breaks where its body is dropped unfinished', async () => {
    const broken = Promise.withResolvers<void>();
    const port = await serve((message) => {
      message.on('data', () => undefined);
      message.on('error', () => broken.resolve());
    });
    const invocation = guest([`http://127.0.0.1:${port}`]);
    const sent = request(invocation, `127.0.0.1:${port}`, { method: 'post' });
    const body = sent.body();
    if (body.tag === 'err') throw new Error('no body');
    const future = handle(invocation.state, sent, undefined);
    const stream = body.val.write();
    if (stream.tag === 'err') throw new Error('no stream');
    await stream.val.blockingWriteAndFlush(Buffer.from('half'));
    stream.val[Symbol.dispose]();
    body.val[Symbol.dispose]();
    expect(await outcomeOf(future)).toBe('HTTP-protocol-error');
    expect(invocation.state.outboundRequests).toBe(0);
    sockets.at(-1)?.destroy();
    await Promise.race([broken.promise, new Promise((resolve) => setImmediate(resolve))]);
  });

  it('is refused where too many are under way', async () => {
    const port = await serve(() => undefined);
    const invocation = guest([`http://127.0.0.1:${port}`]);
    for (let count = 0; count < OUTBOUND_REQUESTS_CAP; count += 1) {
      expect(handle(invocation.state, request(invocation, `127.0.0.1:${port}`), undefined).tag).toBe('ok');
    }
    const oneMore = handle(invocation.state, request(invocation, `127.0.0.1:${port}`), undefined);
    expect(oneMore).toEqual({ tag: 'err', val: { tag: 'connection-limit-reached' } });
  });
});
