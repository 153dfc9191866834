import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FissiumError } from '../errors.ts';
import { bodyStream } from '../executors/body-stream.ts';
import { answer, describing, openAnswer, startRouter, type Harness, type Seen } from './testing/harness.ts';

let harness: Harness;
beforeEach(async () => {
  harness = await startRouter();
});
afterEach(async () => {
  await harness.close();
});

const CHUNKED_POST = 'POST /f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';

describe('bodies', () => {
  it('stream both ways at once', async () => {
    harness.deploy('f', ({ body }) => answer({ body: body ?? '' }), { route: { methods: ['POST'] } });
    const client = await harness.socket();
    client.send(CHUNKED_POST);
    await client.until(/200 OK[^]*\r\n\r\n/);
    client.send('3\r\none\r\n');
    await client.until(/one/);
    client.send('3\r\ntwo\r\n');
    await client.until(/two/);
    client.send('0\r\n\r\n');
    expect(await client.until(/\r\n0\r\n\r\n$/)).toMatch(/one[^]*two/);
  });

  it('send a head at once that has nothing behind it yet', async () => {
    const body = new PassThrough();
    harness.deploy('f', () => answer({ headers: [['content-type', 'text/event-stream']], body }));
    const res = await openAnswer(harness.port, '/f');
    expect(res.headers['content-type']).toBe('text/event-stream');
    body.end('data: 1\n\n');
    expect((await res.toArray()).join('')).toBe('data: 1\n\n');
  });

  it('carry trailers both ways', async () => {
    harness.deploy(
      'f',
      async (request) => {
        const described = await describing(request);
        return {
          ...described,
          trailers: Promise.resolve([
            ['x-sum', '42'],
            ['content-length', '1'],
          ] as const),
        };
      },
      { route: { methods: ['POST'] } },
    );
    const client = await harness.socket();
    client.send(`${CHUNKED_POST}2\r\nhi\r\n0\r\nX-Check: abc\r\nX-Fission-Function-Name: forged\r\n\r\n`);
    const text = await client.until(/x-sum[^]*\r\n\r\n$/i);
    expect(text).toMatch(/\r\n0\r\nx-sum: 42\r\n\r\n$/i);
    const seen = JSON.parse(/\{.*\}/.exec(text)?.[0] ?? '') as Seen;
    expect(seen.trailers).toEqual([['x-check', 'abc']]);
    expect(seen.body).toBe('hi');
  });

  it('are pulled from the function only as fast as the client reads', async () => {
    let made = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const endless = new Readable({
      highWaterMark: 64 * 1024,
      read() {
        made += 1;
        this.push(chunk);
      },
    });
    harness.deploy('f', () => answer({ body: endless }));
    const client = await harness.socket();
    client.socket.pause();
    client.send('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    const stalled = async (): Promise<number> => {
      for (;;) {
        const before = made;
        await new Promise((resolve) => setTimeout(resolve, 100));
        if (made === before && made > 0) return made;
      }
    };
    const first = await stalled();
    expect(first * chunk.length).toBeLessThan(32 * 1024 * 1024);
    client.socket.resume();
    while (made <= first) await once(client.socket, 'data');
  });

  it('are read from the client only as fast as the function reads', async () => {
    const held = Promise.withResolvers<void>();
    harness.deploy(
      'f',
      async ({ body }) => {
        await held.promise;
        let bytes = 0;
        for await (const chunk of body ?? []) bytes += (chunk as Buffer).length;
        return answer({ body: String(bytes) });
      },
      { route: { methods: ['POST'] } },
    );
    const chunk = Buffer.alloc(1024 * 1024);
    let sent = 0;
    const source = new Readable({
      read() {
        sent += chunk.length;
        this.push(sent > 64 * chunk.length ? null : chunk);
      },
    });
    const req = httpRequest({
      host: '127.0.0.1',
      port: harness.port,
      path: '/f',
      method: 'POST',
      agent: false,
    });
    source.pipe(req);
    let last = 0;
    await expect
      .poll(
        () => {
          const before = last;
          last = req.socket?.bytesWritten ?? 0;
          return last > 0 && last === before;
        },
        { interval: 100, timeout: 5_000 },
      )
      .toBe(true);
    expect(last).toBeLessThan(16 * chunk.length);
    held.resolve();
    const [res] = (await once(req, 'response')) as [Readable];
    expect(Number((await res.toArray()).join(''))).toBe(64 * chunk.length);
  }, 30_000);
});

describe('a function that fails after its head', () => {
  const failing = (): Readable => {
    let step = 0;
    return new Readable({
      read() {
        step += 1;
        if (step === 1) this.push('first');
        else setImmediate(() => this.destroy(new FissiumError('GUEST_TRAPPED', 'unreachable')));
      },
    });
  };

  it('never ends a chunked answer', async () => {
    harness.deploy('f', () => answer({ body: failing() }));
    const client = await harness.socket();
    client.send('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    const text = await client.untilClosed();
    expect(text).toMatch(/^HTTP\/1.1 200 [^]*first/);
    expect(text).not.toMatch(/\r\n0\r\n/);
  });

  it('resets a connection whose end would be the end of the answer', async () => {
    harness.deploy('f', () => answer({ body: failing() }));
    const client = await harness.socket();
    client.send('GET /f HTTP/1.0\r\nHost: x\r\n\r\n');
    await client.untilClosed();
    expect(client.failed).toMatchObject({ code: 'ECONNRESET' });
  });

  it.each([
    ['fewer', 'short', '10'],
    ['more', 'too long for that', '10'],
  ])('also by %s bytes than promised', async (_, body, length) => {
    harness.deploy('f', () => answer({ headers: [['content-length', length]], body }));
    const client = await harness.socket();
    client.send('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    const text = await client.untilClosed();
    expect((text.split('\r\n\r\n')[1] ?? '').length).toBeLessThan(10);
  });

  it('also when its body just stops', async () => {
    const body = new PassThrough();
    harness.deploy('f', () => answer({ body }));
    const client = await harness.socket();
    client.send('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until(/200 OK/);
    body.destroy();
    expect(await client.untilClosed()).not.toMatch(/\r\n0\r\n/);
  });
});

describe('a function that answers without reading', () => {
  it('has its answer read by a client that keeps sending, whose connection then ends', async () => {
    harness.deploy('f', () => answer({ body: 'no need' }), { route: { methods: ['POST'] } });
    const client = await harness.socket();
    client.send(`POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: ${10 * 1024 * 1024}\r\n\r\n`);
    client.socket.write(Buffer.alloc(10 * 1024 * 1024));
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 200 [^]*no need\r\n0\r\n\r\n$/);
  });
});

describe('a client that goes', () => {
  it('stops the function before its head', async () => {
    const stopped = Promise.withResolvers<unknown>();
    harness.deploy('f', ({ signal }) => {
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => {
        stopped.resolve(signal.reason);
        reject(signal.reason);
      });
      return promise;
    });
    const client = await harness.socket();
    client.send('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    client.close();
    expect(await stopped.promise).toMatchObject({ code: 'CLIENT_GONE' });
    await expect.poll(() => harness.router.services.admission.requests).toBe(0);
  });

  it('stops the function in its body', async () => {
    const body = new PassThrough();
    harness.deploy('f', () => answer({ body }));
    const client = await harness.socket();
    client.send('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until(/200 OK/);
    const failed = once(body, 'error');
    client.close();
    expect((await failed)[0]).toMatchObject({ code: 'CLIENT_GONE' });
    expect(body.destroyed).toBe(true);
  });

  it('ends the body that the function reads', async () => {
    const read = Promise.withResolvers<unknown>();
    harness.deploy(
      'f',
      async (request) => {
        const body = bodyStream(request.body);
        const outcome =
          body === null
            ? 'none'
            : await body.toArray().then(
                () => 'ended',
                () => 'broken off',
              );
        read.resolve([outcome, await request.trailers]);
        return answer();
      },
      { route: { methods: ['POST'] } },
    );
    const client = await harness.socket();
    client.send(`${CHUNKED_POST}3\r\none\r\n`);
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    client.close();
    expect(await read.promise).toEqual(['broken off', []]);
  });

  it('leaves a function’s late answer alone', async () => {
    const late = Promise.withResolvers<ReturnType<typeof answer>>();
    harness.deploy('f', () => late.promise);
    const client = await harness.socket();
    client.send('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    client.close();
    await expect.poll(() => harness.router.services.admission.requests).toBe(0);
    const body = new PassThrough();
    late.resolve(answer({ body }));
    await expect.poll(() => body.destroyed).toBe(true);
  });
});
