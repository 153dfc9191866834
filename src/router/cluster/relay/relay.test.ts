import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { CallAbort } from '../../../executors/call-abort.ts';
import type { HeaderList, InvokeResponse } from '../../../executors/executor.ts';
import { Lines } from './lines.ts';
import { RelayedCall, type RelayedRequest } from './relayed-call.ts';

let closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.toReversed()) close();
  closing = [];
});

interface Pod {
  readonly lines: Lines;
  readonly sockets: Socket[];
}

async function podOf(server: Server): Promise<Pod> {
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const lines = new Lines({
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connectTimeoutMs: 1000,
  });
  closing.push(() => {
    lines.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { lines, sockets };
}

const httpPod = (answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Pod> =>
  podOf(createHttpServer(answer));

/** Writes these pieces, each in a packet of its own, for each request that comes. */
function rawPod(...pieces: readonly (string | null)[]): Promise<Pod> {
  return podOf(
    createServer({ noDelay: true }, (socket) => {
      socket.on('data', () => {
        void (async () => {
          for (const piece of pieces) {
            if (piece === null) socket.end();
            else socket.write(piece, 'latin1');
            await new Promise(setImmediate);
          }
        })();
      });
    }),
  );
}

interface Outcome {
  readonly status?: number;
  readonly headers?: HeaderList;
  readonly body?: string;
  /** Whether the body came as a whole. */
  readonly whole?: boolean;
  readonly trailers?: HeaderList;
  readonly error?: string;
  readonly sent?: boolean;
}

const REQUEST: RelayedRequest = {
  id: 'r-1',
  method: 'GET',
  scheme: 'http',
  authority: 'example.com',
  pathWithQuery: '/a?b=c',
  headers: [['accept', '*/*']],
  body: null,
  signal: new CallAbort(),
};

interface Asked {
  readonly outcome: Promise<Outcome>;
  readonly done: Promise<void>;
}

function start({ lines }: Pod, parts: Partial<RelayedRequest> = {}): Asked {
  const request: RelayedRequest = { ...REQUEST, ...parts };
  const { promise: outcome, resolve } = Promise.withResolvers<Outcome>();
  const { promise: done, resolve: over } = Promise.withResolvers<void>();
  let times = 0;
  const call = new RelayedCall(request, {
    answered: (response) => void read(response).then(resolve),
    failed: (cause, sent) => {
      // Whose place it was must be at rest before somebody else gets that place.
      if (times > 0) throw new Error('it was told of its failure after its end');
      resolve({ error: cause.message, sent });
    },
    done: () => {
      times++;
      if (times > 1) throw new Error('it was told twice that it is over');
      over();
    },
  });
  const head = RelayedCall.headOf(request, request.pathWithQuery);
  if (head === null || !call.send(lines, head)) resolve({ error: 'not sent' });
  return { outcome, done };
}

async function ask(pod: Pod, parts: Partial<RelayedRequest> = {}): Promise<Outcome> {
  const { outcome, done } = start(pod, parts);
  const found = await outcome;
  await done;
  return found;
}

async function read({
  status,
  headers,
  body,
  trailers,
}: Omit<InvokeResponse, 'coldStart'>): Promise<Outcome> {
  const whole = !(body instanceof Readable);
  try {
    const bytes = whole ? Buffer.from(body) : await buffer(body);
    const behind = await trailers;
    return {
      status,
      headers,
      body: bytes.toString('latin1'),
      whole,
      ...(behind.length === 0 ? {} : { trailers: behind }),
    };
  } catch (error) {
    return { status, error: error instanceof Error ? error.message : 'no Error' };
  }
}

describe('a line', () => {
  it('sends what it is given, and takes one request after another', async () => {
    const pod = await httpPod((request, response) => {
      void buffer(request).then((body) => {
        const { method, url, headers } = request;
        response.end(JSON.stringify({ method, url, headers, body: body.toString() }));
      });
    });
    const first = await ask(pod);
    expect(first).toMatchObject({ status: 200, whole: true });
    expect(JSON.parse(first.body ?? '')).toEqual({
      method: 'GET',
      url: '/a?b=c',
      headers: { host: 'example.com', accept: '*/*', 'x-fission-request-id': 'r-1' },
      body: '',
    });
    for (const size of [5, 40_000]) {
      const body = Buffer.alloc(size, 'x');
      // A length of the client's own is not believed.
      const headers: HeaderList = [['content-length', '3']];
      const { body: said = '' } = await ask(pod, { method: 'POST', body, headers });
      expect(JSON.parse(said)).toMatchObject({ method: 'POST', body: body.toString() });
    }
    const { body: empty = '' } = await ask(pod, { method: 'POST' });
    expect(JSON.parse(empty)).toMatchObject({ headers: { 'content-length': '0' } });
    expect(pod.sockets).toHaveLength(1);
  });

  it.each([
    ['a line break in a value', { headers: [['a', 'b\r\nc: d']] }],
    ['a name that is none', { headers: [['a b', 'c']] }],
    ['a body’s form', { headers: [['transfer-encoding', 'chunked']] }],
    ['a blank in the path', { pathWithQuery: '/a b' }],
    ['a line break in the authority', { authority: 'a\r\nb: c' }],
  ] as const)('sends no head with %s', (_what, parts) => {
    const request = { ...REQUEST, ...parts };
    expect(RelayedCall.headOf(request, request.pathWithQuery)).toBeNull();
  });

  it('reads answers to HEAD, and those without a body, by their heads alone', async () => {
    const pod = await httpPod(({ url, method }, response) => {
      if (method === 'HEAD') response.writeHead(200, { 'content-length': 100_000 }).end();
      else response.writeHead(url === '/204' ? 204 : 304, { etag: '"a"' }).end();
    });
    expect(await ask(pod, { method: 'HEAD' })).toMatchObject({ status: 200, body: '', whole: true });
    expect(await ask(pod, { pathWithQuery: '/204' })).toMatchObject({ status: 204, body: '' });
    expect(await ask(pod, { pathWithQuery: '/304' })).toMatchObject({ status: 304, body: '' });
    expect(pod.sockets).toHaveLength(1);
  });

  it('streams long and chunked answers, with their trailers, and is free again behind them', async () => {
    const pod = await httpPod(({ url }, response) => {
      if (url === '/long') response.end(Buffer.alloc(3_000_000, 'l'));
      else {
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('one ');
        response.addTrailers({ 'x-sum': '7' });
        response.end('two');
      }
    });
    expect(await ask(pod, { pathWithQuery: '/long' })).toMatchObject({
      whole: false,
      body: 'l'.repeat(3_000_000),
    });
    const chunked = await ask(pod, { pathWithQuery: '/chunked' });
    expect(chunked).toMatchObject({ whole: false, body: 'one two', trailers: [['x-sum', '7']] });
    expect(await ask(pod, { pathWithQuery: '/chunked' })).toMatchObject({ body: 'one two' });
    expect(pod.sockets).toHaveLength(1);
  });

  it('is free when whoever wanted a stream does not want it any more', async () => {
    const pod = await httpPod((_request, response) => {
      response.write('begins');
    });
    const done = Promise.withResolvers<void>();
    const call = new RelayedCall(REQUEST, {
      answered: ({ body }) => (body as Readable).on('error', () => undefined).destroy(),
      failed: () => undefined,
      done: () => done.resolve(),
    });
    expect(call.send(pod.lines, RelayedCall.headOf(REQUEST, '/') ?? '')).toBe(true);
    await done.promise;
    const [socket] = pod.sockets;
    if (socket?.closed === false) await once(socket, 'close');
    expect(socket?.closed).toBe(true);
  });

  const PLAIN = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a:  2 \t\r\n\r\nhello';

  it('reads an answer in whatever pieces it comes, as node:http does', async () => {
    const forms = [
      PLAIN,
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n4\r\nello\r\n0\r\n\r\n',
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...forms),
        fc.array(fc.nat({ max: 150 }), { maxLength: 6 }),
        async (text, cuts) => {
          const at = [...new Set([0, ...cuts.map((cut) => cut % text.length), text.length])].toSorted(
            (a, b) => a - b,
          );
          const pieces = at.slice(1).map((end, index) => text.slice(at[index], end));
          const pod = await rawPod(...pieces);
          const { status, body } = await ask(pod);
          expect([status, body]).toEqual([200, 'hello']);
          expect(await ask(pod)).toMatchObject({ status: 200, body: 'hello' });
          expect(pod.sockets).toHaveLength(1);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('gives fields as they came, but for those of the connection', async () => {
    const pod = await rawPod(PLAIN.replace('X-A', 'Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nX-A'));
    expect(await ask(pod)).toMatchObject({
      headers: [
        ['Content-Length', '5'],
        ['X-A', '1'],
        ['x-a', '2'],
      ],
    });
  });

  it('leaves every byte of a value but the blanks around it', async () => {
    const pod = await rawPod(PLAIN.replace('X-A: 1', 'X-A: \t caf\xc3\xa0 \t'));
    expect((await ask(pod)).headers).toContainEqual(['X-A', 'caf\xc3\xa0']);
  });

  it.each([
    ['closes', PLAIN.replace('X-A', 'Connection: close\r\nX-A')],
    ['says nothing of its end', 'HTTP/1.1 200 OK\r\n\r\nhello'],
    ['is one of HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['brings more than was asked for', `${PLAIN}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`],
    ['keeps connections for a second', PLAIN.replace('X-A', 'Keep-Alive: timeout=1\r\nX-A')],
  ])('is not used again where the answer %s', async (_what, text) => {
    const pod = await rawPod(text, null);
    expect(await ask(pod)).toMatchObject({ status: 200, body: 'hello' });
    expect(await ask(pod)).toMatchObject({ status: 200, body: 'hello' });
    expect(pod.sockets).toHaveLength(2);
  });

  it.each([
    ['nothing', [null]],
    ['another protocol', ['HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n']],
    ['what is no answer', ['SSH-2.0-server\r\n\r\n', null]],
    ['half a head', ['HTTP/1.1 200 OK\r\nContent-', null]],
    ['half a body', ['HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello', null]],
    ['two lengths', ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello', null]],
    [
      'a field that goes on in the next line',
      ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n a: b\r\n\r\nhello', null],
    ],
  ] as const)('fails, and was sent, where the answer is %s', async (_what, pieces) => {
    const pod = await rawPod(...pieces);
    const { error, sent } = await ask(pod);
    expect({ isError: error !== undefined, sent }).toEqual({ isError: true, sent: true });
  });

  it('ends a stream with an error where the pod breaks off', async () => {
    const pod = await rawPod('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', null);
    expect(await ask(pod)).toMatchObject({ status: 200, error: 'aborted' });
  });

  it('was not sent where nobody takes the connection', async () => {
    const pod = await httpPod((_request, response) => response.end());
    const refused = new Lines({ origin: 'http://127.0.0.1:1', connectTimeoutMs: 1000 });
    expect(await ask({ ...pod, lines: refused })).toMatchObject({ sent: false });
  });

  it('breaks off when nobody waits for the answer any more', async () => {
    const arrived = Promise.withResolvers<void>();
    const pod = await httpPod(() => arrived.resolve());
    const signal = new CallAbort();
    const { done } = start(pod, { signal });
    await arrived.promise;
    const [socket] = pod.sockets;
    signal.abort(new Error('the client is gone'));
    await done;
    if (socket?.closed === false) await once(socket, 'close');
    expect(socket?.closed).toBe(true);
  });

  it('is dropped when the pod closes it, and another is made', async () => {
    const pod = await httpPod((_request, response) => response.end('hello'));
    await ask(pod);
    const [socket] = pod.sockets;
    socket?.destroy();
    while (pod.lines.open > 0) await new Promise(setImmediate);
    expect(await ask(pod)).toMatchObject({ body: 'hello' });
    expect(pod.sockets).toHaveLength(2);
  });

  it('ends with its pool, after what it has', async () => {
    const pod = await httpPod((_request, response) => setTimeout(() => response.end('late'), 20));
    const { outcome } = start(pod);
    pod.lines.close();
    expect(await outcome).toMatchObject({ body: 'late' });
    const [socket] = pod.sockets;
    if (socket?.closed === false) await once(socket, 'close');
    expect(await start(pod).outcome).toEqual({ error: 'not sent' });
  });
});
