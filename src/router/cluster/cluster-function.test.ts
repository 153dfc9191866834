import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { CallAbort } from '../../executors/call-abort.ts';
import type { InvokeReceipt, InvokeRequest, InvokeResponse, StartClock } from '../../executors/executor.ts';
import { ClusterFunction } from './cluster-function.ts';
import { EndpointGroup } from './endpoint-group.ts';

let closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.toReversed()) close();
  closing = [];
});

async function pod(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function functionOf(group: EndpointGroup): ClusterFunction {
  closing.push(() => group.clear());
  return new ClusterFunction(
    {
      namespace: 'default',
      name: 'hello',
      uid: 'u-1',
      strategy: 'newdeploy',
      group,
      pathPrefix: '/fission-function/default/hello',
      upgrades: false,
      hosts: true,
      sign: undefined,
      onWaiting: () => undefined,
      owner: null,
      trouble: () => null,
    },
    { startTimeoutMs: 1000, firstByteTimeoutMs: 1000 },
  );
}

function call(fn: ClusterFunction, parts: Partial<InvokeRequest> = {}): Promise<InvokeResponse> {
  const request: InvokeRequest = {
    id: 'r-1',
    method: 'POST',
    scheme: 'http',
    authority: 'example.com',
    pathWithQuery: '/x',
    headers: [],
    body: Buffer.from('body'),
    signal: new CallAbort(),
    ...parts,
  };
  return new Promise((resolve, reject) => {
    // What it fails with is an Error.
    fn.start(request, { answered: resolve, failed: (thrown) => reject(thrown as Error) });
  });
}

const textOf = async ({ body }: InvokeResponse): Promise<string> =>
  (body instanceof Readable ? await buffer(body) : Buffer.from(body)).toString();

describe('a call to pods', () => {
  it('goes to another pod where one takes no connection, with its body', async () => {
    const group = new EndpointGroup({ choice: 'least' });
    const fn = functionOf(group);
    group.set('a/refuses', 'http://127.0.0.1:1');
    group.set(
      'a/serves',
      await pod((request, response) => {
        void buffer(request).then((body) => response.end(`${request.url} ${body.toString()}`));
      }),
    );
    for (let i = 0; i < 4; i++)
      expect(await textOf(await call(fn))).toBe('/fission-function/default/hello/x body');
    expect(fn.running).toBe(0);
  });

  it('passes over a host that has refused the function, whatever it answers with', async () => {
    const group = new EndpointGroup({ choice: 'least' });
    const fn = functionOf(group);
    let refused = 0;
    const refuses: RequestListener = (request, response) => {
      refused++;
      const body = 'its package was refused'.repeat(refused === 1 ? 1 : 4_000);
      request.resume();
      response.writeHead(502, { 'x-fissium-refused': '1' }).end(body);
    };
    // Chunked, and longer than what is read as a whole.
    group.set('a/refuses', await pod(refuses));
    group.set('a/refuses-too', await pod(refuses));
    group.set(
      'a/serves',
      await pod((request, response) => void buffer(request).then((body) => response.end(body))),
    );
    for (let i = 0; i < 6; i++) {
      const response = await call(fn);
      expect([response.status, await textOf(response)]).toEqual([200, 'body']);
    }
    const stream = { body: Readable.from([Buffer.from('streams')]) };
    expect(await textOf(await call(fn, stream))).toBe('streams');
    expect([refused, fn.running]).toEqual([2, 0]);
  });

  it('is answered with the refusal where every host has refused the function, each asked once', async () => {
    const group = new EndpointGroup({ choice: 'least' });
    const fn = functionOf(group);
    let asked = 0;
    let isMended = false;
    const refuses: RequestListener = (_request, response) => {
      asked++;
      if (isMended) response.end('mended');
      else response.writeHead(502, { 'x-fissium-refused': '1', 'content-length': 3 }).end('why');
    };
    for (const name of ['a/1', 'a/2']) group.set(name, await pod(refuses));
    expect(await textOf(await call(fn))).toBe('why');
    expect(asked).toBe(2);
    expect(await textOf(await call(fn))).toBe('why');
    expect(asked).toBe(3);
    isMended = true;
    expect(await textOf(await call(fn))).toBe('mended');
    expect(fn.running).toBe(0);
  });

  it('is never sent twice for a failure of the function, whatever its pod says in a header', async () => {
    const group = new EndpointGroup({ choice: 'least' });
    const hosts = functionOf(group);
    const fn = new ClusterFunction({ ...hosts.parts, hosts: false }, hosts.times);
    let seen = 0;
    const fails = (headers: Record<string, string>): RequestListener => {
      return (_request, response) => {
        seen++;
        response.writeHead(502, headers).end('failed');
      };
    };
    group.set('a/1', await pod(fails({})));
    group.set('a/2', await pod(fails({})));
    expect((await call(hosts)).status).toBe(502);
    expect(seen).toBe(1);
    group.clear();
    for (const name of ['a/3', 'a/4']) group.set(name, await pod(fails({ 'x-fissium-refused': '1' })));
    expect((await call(fn)).status).toBe(502);
    expect(seen).toBe(2);
  });

  it('is never sent twice: where the pod breaks off it has failed', async () => {
    const group = new EndpointGroup({ choice: 'least' });
    const fn = functionOf(group);
    let seen = 0;
    const breaks: RequestListener = (request) => {
      seen++;
      request.socket.destroy();
    };
    group.set('a/1', await pod(breaks));
    group.set('a/2', await pod(breaks));
    await expect(call(fn)).rejects.toMatchObject({ code: 'FUNCTION_FAILED' });
    expect([seen, fn.running]).toEqual([1, 0]);
  });

  it.each([
    ['a body that is there', () => Buffer.from('body')],
    ['a body that streams', () => Readable.from([Buffer.from('body')])],
  ])(
    'is not given to a pod that has just broken one off, whose place it waited for: %s',
    async (_what, body) => {
      const group = new EndpointGroup({ choice: 'least' });
      const fn = functionOf(group);
      group.setLimit(1, false);
      const brokenAt: number[] = [];
      const arrivedAt: number[] = [];
      const serve = async ({ socket }: IncomingMessage, response: ServerResponse): Promise<void> => {
        arrivedAt.push(performance.now());
        if (arrivedAt.length > 1) {
          response.end('served');
          return;
        }
        await expect.poll(() => fn.waiting).toBe(1);
        brokenAt.push(performance.now());
        socket.destroy();
      };
      group.set('a/1', await pod((request, response) => void serve(request, response)));
      const [first, second] = [call(fn, { body: body() }), call(fn, { body: body() })];
      await expect(first).rejects.toMatchObject({ code: 'FUNCTION_FAILED' });
      expect(await textOf(await second)).toBe('served');
      // Timers go off up to a millisecond early.
      expect((arrivedAt[1] ?? 0) - (brokenAt[0] ?? 0)).toBeGreaterThan(48);
      expect(fn.running).toBe(0);
    },
  );

  it('counts for its pod until a streamed answer has ended, and gives a receipt then', async () => {
    const group = new EndpointGroup({ choice: 'least' });
    const fn = functionOf(group);
    const { promise: end, resolve } = Promise.withResolvers<void>();
    group.set(
      'a/1',
      await pod((_request, response) => {
        response.write('begun ');
        void end.then(() => response.end('ended'));
      }),
    );
    const receipts: (InvokeReceipt | null)[] = [];
    const response = await call(fn, { onReceipt: (receipt) => receipts.push(receipt) });
    expect([fn.running, receipts]).toEqual([1, []]);
    resolve();
    expect(await textOf(response)).toBe('begun ended');
    expect([fn.running, receipts]).toMatchObject([0, [{ instance: 'ready' }]]);
  });

  it('gets its receipt from the pod that ran it, not from one that refused it or was not there', async () => {
    const receipts: (InvokeReceipt | null)[] = [];
    const onReceipt = (receipt: InvokeReceipt | null): unknown => receipts.push(receipt);
    const soFar: number[] = [];
    const refuses: RequestListener = (request, response) => {
      request.resume();
      response.writeHead(502, { 'x-fissium-refused': '1', 'content-length': 3 }).end('why');
    };
    const refusesAtLength: RequestListener = (request, response) => {
      request.resume();
      response.writeHead(502, { 'x-fissium-refused': '1' }).end('why'.repeat(30_000));
    };
    const serves: RequestListener = (request, response) => {
      soFar.push(receipts.length);
      request.resume();
      response.end('served');
    };
    const firsts = [
      'http://127.0.0.1:1',
      await pod(refuses),
      await pod(refusesAtLength),
      // With one more, which the second attempt meets.
      [await pod(refuses), await pod(refuses)],
    ];
    for (const first of firsts) {
      const group = new EndpointGroup({ choice: 'least' });
      const fn = functionOf(group);
      for (const origin of [first].flat()) group.set(`a/${origin}`, origin);
      group.set('a/serves', await pod(serves));
      expect(await textOf(await call(fn, { onReceipt }))).toBe('served');
      await expect.poll(() => [fn.running, receipts.length]).toEqual([0, 1]);
      expect(receipts.splice(0)).toMatchObject([{ instance: 'ready' }]);
    }
    expect(soFar).toEqual([0, 0, 0, 0]);
  });

  it.each([
    ['a body that is there', () => Buffer.from('body')],
    ['a body that streams', () => Readable.from([Buffer.from('body')])],
  ])('has no receipt where every host has refused it: %s', async (_what, body) => {
    for (const length of [1, 30_000]) {
      const group = new EndpointGroup({ choice: 'least' });
      const fn = functionOf(group);
      const refuses: RequestListener = (request, response) => {
        request.resume();
        response.writeHead(502, { 'x-fissium-refused': '1' }).end('why'.repeat(length));
      };
      for (const name of ['a/1', 'a/2']) group.set(name, await pod(refuses));
      const receipts: (InvokeReceipt | null)[] = [];
      const response = await call(fn, { body: body(), onReceipt: (receipt) => receipts.push(receipt) });
      expect(await textOf(response)).toBe('why'.repeat(length));
      await expect.poll(() => fn.running).toBe(0);
      expect(receipts).toEqual([null]);
    }
  });

  it.each([false, true])(
    'has its own time from when there is a pod, also where that has another call; once only: %s',
    async (onceOnly) => {
      const group = new EndpointGroup({ choice: 'least' });
      const fn = functionOf(group);
      group.setLimit(1, onceOnly);
      const told: string[] = [];
      const clockOf = (name: string): StartClock => ({
        starting: () => told.push(`${name} starting`),
        started: () => told.push(`${name} started`),
      });
      const answers = [call(fn, { clock: clockOf('a') }), call(fn, { clock: clockOf('b') })];
      expect(told.splice(0)).toEqual(['a starting', 'b starting']);
      const { promise: end, resolve } = Promise.withResolvers<void>();
      const origin = await pod((_request, response) => void end.then(() => response.end('served')));
      group.set('a/1', origin);
      // A pod that has its one call is not there for another.
      expect(told.splice(0)).toEqual(onceOnly ? ['a started'] : ['a started', 'b started']);
      if (onceOnly) group.set('a/2', origin);
      expect(told).toEqual(onceOnly ? ['b started'] : []);
      resolve();
      for (const answer of answers) expect(await textOf(await answer)).toBe('served');
    },
  );

  it('gives its place back when nobody waits for it any more', async () => {
    const group = new EndpointGroup({ choice: 'least' });
    const fn = functionOf(group);
    const { promise: arrived, resolve } = Promise.withResolvers<void>();
    group.set('a/1', await pod(() => resolve()));
    const signal = new CallAbort();
    void call(fn, { signal }).catch(() => undefined);
    await arrived;
    expect(fn.running).toBe(1);
    signal.abort(new Error('the client is gone'));
    expect(fn.running).toBe(0);
  });

  it('goes another way where its head is not plain, and where its body streams', async () => {
    const group = new EndpointGroup({ choice: 'least' });
    const fn = functionOf(group);
    group.set(
      'a/1',
      await pod((request, response) => {
        void buffer(request).then((body) => response.end(body));
      }),
    );
    expect(await textOf(await call(fn, { body: Readable.from([Buffer.from('streams')]) }))).toBe('streams');
    await expect(call(fn, { headers: [['a', 'b\nc']] })).rejects.toMatchObject({ code: 'FUNCTION_FAILED' });
    expect(fn.running).toBe(0);
  });
});
