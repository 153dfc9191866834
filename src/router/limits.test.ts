import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FissiumError } from '../errors.ts';
import { bodyStream } from '../executors/body-stream.ts';
import type { InvokeResponse } from '../executors/executor.ts';
import { limits } from './testing/resources.ts';
import { answer, describing, invoker, startRouter, type Harness } from './testing/harness.ts';

let harness: Harness;
beforeEach(async () => {
  harness = await startRouter();
});
afterEach(async () => {
  vi.useRealTimers();
  await harness.close();
});

const POST = { route: { methods: ['POST'] } };

describe('the body limit', () => {
  it('refuses a content-length over it at once', async () => {
    let called = false;
    harness.deploy(
      'f',
      () => {
        called = true;
        return answer();
      },
      { limits: { bodyLimitBytes: 10 }, ...POST },
    );
    const client = await harness.socket();
    client.send('POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n');
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 413 [^]*BODY_TOO_LARGE/);
    expect(called).toBe(false);
  });

  it('refuses a chunked body when it crosses it', async () => {
    harness.deploy('f', describing, { limits: { bodyLimitBytes: 10 }, ...POST });
    const client = await harness.socket();
    client.send('POST /f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n');
    client.send('8\r\n12345678\r\n');
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 413 [^]*BODY_TOO_LARGE/);
  });

  it('destroys the connection where a head was sent', async () => {
    harness.deploy('f', ({ body }) => answer({ body: body ?? '' }), {
      limits: { bodyLimitBytes: 10 },
      ...POST,
    });
    const client = await harness.socket();
    client.send('POST /f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n');
    await client.until(/12345678/);
    client.send('8\r\n12345678\r\n');
    expect(await client.untilClosed()).not.toMatch(/\r\n0\r\n/);
  });

  it('lets a client that keeps sending read why', async () => {
    harness.deploy('f', describing, { limits: { bodyLimitBytes: 10 }, ...POST });
    const body = Buffer.alloc(20 * 1024 * 1024);
    for (let count = 0; count < 5; count += 1) {
      expect((await harness.ask('/f', { method: 'POST', body })).json().code).toBe('BODY_TOO_LARGE');
    }
  });

  it('takes a body of exactly its size', async () => {
    harness.deploy('f', describing, { limits: { bodyLimitBytes: 10 }, ...POST });
    expect((await harness.ask('/f', { method: 'POST', body: '1234567890' })).status).toBe(200);
  });
});

describe('deadlines', () => {
  const never = (): Promise<InvokeResponse> => Promise.withResolvers<InvokeResponse>().promise;

  it('504 when the head does not come in time, with the function stopped', async () => {
    let reason: unknown;
    harness.deploy(
      'f',
      ({ signal }) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason;
        });
        return never();
      },
      { limits: { firstByteTimeoutMs: 50 } },
    );
    const got = await harness.ask('/f');
    expect([got.status, got.json().code]).toEqual([504, 'DEADLINE_EXCEEDED']);
    expect(reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('504 when the client stops in the middle of its body', async () => {
    harness.deploy('f', describing, { limits: { idleTimeoutMs: 50 }, ...POST });
    const client = await harness.socket();
    client.send('POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123');
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 504 [^]*IDLE_TIMEOUT/);
  });

  it('let a function think for longer than the idle time before its head', async () => {
    harness.deploy(
      'f',
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 150));
        return answer({ body: 'thought' });
      },
      { limits: { idleTimeoutMs: 30 } },
    );
    expect((await harness.ask('/f')).text).toBe('thought');
  });

  it('destroy the connection when the body falls silent', async () => {
    const body = new PassThrough();
    harness.deploy('f', () => answer({ body }), { limits: { idleTimeoutMs: 60 } });
    const client = await harness.socket();
    client.send('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until(/200 OK/);
    body.write('some');
    expect(await client.untilClosed()).toMatch(/some\r\n$/);
    expect(body.errored).toMatchObject({ code: 'IDLE_TIMEOUT' });
  });

  it('let a stream go on while bytes move', async () => {
    const body = new PassThrough();
    harness.deploy('f', () => answer({ body }), { limits: { idleTimeoutMs: 100, firstByteTimeoutMs: 50 } });
    let count = 0;
    const timer = setInterval(() => {
      count += 1;
      body.write('.');
      if (count === 10) {
        clearInterval(timer);
        body.end();
      }
    }, 30);
    expect((await harness.ask('/f')).text).toBe('..........');
  });

  it('end a stream at the total limit, where one is set', async () => {
    const body = new PassThrough();
    harness.deploy('f', () => answer({ body }), { limits: { totalTimeoutMs: 100 } });
    const client = await harness.socket();
    client.send('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.untilClosed();
    expect(body.errored).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });
});

describe('a function that is being prepared', () => {
  it('keeps requests until it is ready', async () => {
    harness.deploy('f', { phase: 'preparing' });
    const asked = harness.ask('/f');
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    harness.deploy('f', () => answer({ body: 'ready' }));
    expect((await asked).text).toBe('ready');
  });

  it('answers why when it is refused, 404 when it is deleted, 504 when it takes too long', async () => {
    harness.deploy('f', { phase: 'preparing' }, { limits: { firstByteTimeoutMs: 5_000 } });
    const refused = harness.ask('/f');
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    harness.deploy('f', { phase: 'refused', error: new FissiumError('PACKAGE_REFUSED', 'No Wasm.') });
    expect((await refused).json().code).toBe('FUNCTION_FAILED');
    harness.deploy('f', { phase: 'preparing' });
    const deleted = harness.ask('/f');
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    harness.functions.delete('default', 'f');
    expect((await deleted).status).toBe(404);
    harness.deploy('f', { phase: 'preparing' }, { limits: { firstByteTimeoutMs: 50 } });
    expect((await harness.ask('/f')).json().code).toBe('DEADLINE_EXCEEDED');
  });
});

describe('a function that is being started', () => {
  it('has its own time from when it is there, and SpecializationTimeout until then', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const limits = { firstByteTimeoutMs: 2_000 };
    harness.deploy('f', { phase: 'preparing' }, { limits, startTimeoutMs: 60_000 });
    const asked = harness.ask('/f');
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    vi.advanceTimersByTime(30_000);
    let called = false;
    harness.deploy(
      'f',
      async () => {
        called = true;
        return new Promise(() => undefined);
      },
      { limits },
    );
    await expect.poll(() => called).toBe(true);
    vi.advanceTimersByTime(2_000);
    expect((await asked).json().message).toContain('after 2000 ms (functionTimeout)');
    vi.useRealTimers();
    harness.deploy(
      'g',
      { phase: 'preparing' },
      { limits: { firstByteTimeoutMs: 20_000 }, startTimeoutMs: 50 },
    );
    expect((await harness.ask('/g')).json()).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining('SpecializationTimeout') as string,
    });
  });
});

describe('admission', () => {
  it('queues what is over the concurrency, refuses what is over the queue with 429', async () => {
    const turns: (() => void)[] = [];
    const order: string[] = [];
    harness.deploy(
      'f',
      async ({ pathWithQuery }) => {
        order.push(pathWithQuery);
        const { promise, resolve } = Promise.withResolvers<void>();
        turns.push(resolve);
        await promise;
        return answer({ body: pathWithQuery });
      },
      { limits: { concurrency: 1, queue: 2 } },
    );
    const { admission } = harness.router.services;
    const asked: Promise<{ text: string }>[] = [];
    for (let count = 1; count <= 3; count += 1) {
      asked.push(harness.ask(`/f?${count}`));
      await expect.poll(() => admission.requests).toBe(count);
    }
    const refused = await harness.ask('/f?4');
    expect([refused.status, refused.json().code, refused.headers['retry-after']]).toEqual([
      429,
      'FUNCTION_BUSY',
      '1',
    ]);
    for (let count = 1; count <= 3; count += 1) {
      await expect.poll(() => turns.length).toBe(count);
      turns[count - 1]?.();
    }
    expect((await Promise.all(asked)).map(({ text }) => text)).toEqual(['/?1', '/?2', '/?3']);
    expect(order).toEqual(['/?1', '/?2', '/?3']);
  });

  it('refuses with 503 what is over the platform’s bound', async () => {
    await harness.close();
    harness = await startRouter({ admission: { maxRequests: 1 } });
    const held = Promise.withResolvers<InvokeResponse>();
    harness.deploy('f', () => held.promise);
    harness.deploy('g', () => answer());
    const first = harness.ask('/f');
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    const refused = await harness.ask('/g');
    expect([refused.status, refused.json().code, refused.headers['retry-after']]).toEqual([
      503,
      'PLATFORM_BUSY',
      '1',
    ]);
    held.resolve(answer());
    expect((await first).status).toBe(200);
    expect((await harness.ask('/g')).status).toBe(200);
  });

  it('takes over limits that change while requests wait, and the newest version for those that waited', async () => {
    const held = Promise.withResolvers<InvokeResponse>();
    harness.deploy('f', () => held.promise, { limits: { concurrency: 1 } });
    const first = harness.ask('/f');
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    const second = harness.ask('/f');
    await expect.poll(() => harness.router.services.admission.requests).toBe(2);
    harness.functions.set({
      namespace: 'default',
      name: 'f',
      uid: 'uid-f',
      limits: limits({ concurrency: 2 }),
      state: { phase: 'ready', invoker: invoker(() => answer({ body: 'new' })) },
    });
    expect((await second).text).toBe('new');
    held.resolve(answer({ body: 'old' }));
    expect((await first).text).toBe('old');
  });

  it('frees the place of a client that goes while it waits', async () => {
    const held = Promise.withResolvers<InvokeResponse>();
    harness.deploy('f', () => held.promise, { limits: { concurrency: 1, queue: 1 } });
    const first = harness.ask('/f');
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    const client = await harness.socket();
    client.send('GET /f HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => harness.router.services.admission.requests).toBe(2);
    client.close();
    await expect.poll(() => harness.router.services.admission.requests).toBe(1);
    held.resolve(answer());
    await first;
  });
});

describe('Expect: 100-continue', () => {
  const HEAD = 'POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n';

  it('is answered when the function wants the body', async () => {
    harness.deploy(
      'f',
      async (request) => {
        const body = bodyStream(request.body);
        return answer({ body: body === null ? '' : await buffer(body) });
      },
      POST,
    );
    const client = await harness.socket();
    client.send(HEAD);
    await client.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/);
    client.send('ping');
    expect(await client.until(/ping/)).toMatch(/100 Continue\r\n\r\nHTTP\/1.1 200 OK/);
  });

  it('is not answered where the request is refused', async () => {
    harness.deploy('f', describing, { limits: { bodyLimitBytes: 3 }, ...POST });
    const client = await harness.socket();
    client.send(HEAD);
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 413 /);
  });

  it('closes the connection where the function answers without reading', async () => {
    harness.deploy('f', () => answer({ body: 'no need' }), POST);
    const client = await harness.socket();
    client.send(HEAD);
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 200 [^]*no need/);
  });
});
