import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InvokeResponse } from '../executors/executor.ts';
import { answer, describing, startRouter, type Harness } from './testing/harness.ts';

let harness: Harness;
beforeEach(async () => {
  harness = await startRouter();
});
afterEach(async () => {
  await harness.close();
});

const GET = 'GET /f HTTP/1.1\r\nHost: x\r\n\r\n';

async function requests(count: number): Promise<void> {
  await expect.poll(() => harness.router.services.admission.requests).toBe(count);
}

describe('closing', () => {
  it('lets requests in flight finish, and closes their connections', async () => {
    const held = Promise.withResolvers<InvokeResponse>();
    harness.deploy('f', () => held.promise);
    const client = await harness.socket();
    client.send(GET);
    await requests(1);
    const closed = harness.router.close({ graceMs: 10_000 });
    held.resolve(answer({ body: 'finished' }));
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 200 [^]*Connection: close[^]*finished/);
    await closed;
  });

  it('lets a body that has begun finish', async () => {
    const body = new PassThrough();
    harness.deploy('f', () => answer({ body }));
    const client = await harness.socket();
    client.send(GET);
    await client.until(/200 OK/);
    const closed = harness.router.close({ graceMs: 10_000 });
    body.end('the rest');
    expect(await client.untilClosed()).toMatch(/the rest\r\n0\r\n\r\n$/);
    await closed;
  });

  it('refuses new connections, and closes those that clients kept with the answer to what is on its way', async () => {
    harness.deploy('f', describing);
    const [client, idle] = [await harness.socket(), await harness.socket()];
    for (const each of [client, idle]) {
      each.send(GET);
      await each.until(/200 OK[^]*\r\n0\r\n\r\n/);
    }
    const closed = harness.router.close({ graceMs: 10_000 });
    client.send(GET);
    expect(await client.untilClosed()).toMatch(/HTTP\/1.1 200 [^]*HTTP\/1.1 200 [^]*Connection: close/);
    await expect(harness.socket()).rejects.toThrow(/ECONNREFUSED/);
    expect((await idle.untilClosed()).match(/HTTP\/1.1/g)).toHaveLength(1);
    await closed;
  });

  it('answers 503 to a request whose head is there only after that, while others finish', async () => {
    const held = Promise.withResolvers<InvokeResponse>();
    let calls = 0;
    harness.deploy('f', () => {
      calls++;
      return answer({ body: 'too late' });
    });
    harness.deploy('g', () => held.promise);
    const [client, other, idle] = [await harness.socket(), await harness.socket(), await harness.socket()];
    client.send('GET /f HTTP/1.1\r\nHost: x\r\n');
    // What was sent before this is read when this is.
    other.send(GET.replace('/f', '/g'));
    await requests(1);
    const closed = harness.router.close({ graceMs: 10_000 });
    // Connections that have nothing end when the moment is over in which requests are still taken.
    expect(await idle.untilClosed()).toBe('');
    client.send('\r\n');
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 503 [^]*Connection: close[^]*SHUTTING_DOWN/);
    expect(calls).toBe(0);
    held.resolve(answer({ body: 'finished' }));
    expect(await other.untilClosed()).toMatch(/^HTTP\/1.1 200 [^]*finished/);
    await closed;
  });

  it('goes on serving after it retired, and closes each connection with its next answer', async () => {
    harness.deploy('f', describing);
    const kept = await harness.socket();
    kept.send(GET);
    await kept.until(/200 OK[^]*\r\n0\r\n\r\n/);
    harness.router.retire();
    kept.send(GET);
    expect(await kept.untilClosed()).toMatch(/HTTP\/1.1 200 [^]*HTTP\/1.1 200 [^]*Connection: close/);
    const next = await harness.socket();
    next.send(GET);
    expect(await next.untilClosed()).toMatch(/^HTTP\/1.1 200 [^]*Connection: close/);
  });

  it('ends soon where clients only keep connections', async () => {
    harness.deploy('f', describing);
    const client = await harness.socket();
    client.send(GET);
    await client.until(/200 OK[^]*\r\n0\r\n\r\n/);
    const begun = performance.now();
    await harness.router.close({ graceMs: 30_000 });
    expect(performance.now() - begun).toBeLessThan(3_000);
    await client.untilClosed();
  });

  it('fails what is not finished in time: 503 before a head, destroyed after it', async () => {
    const body = new PassThrough();
    const reasons: unknown[] = [];
    harness.deploy('f', ({ signal }) => {
      signal.addEventListener('abort', () => reasons.push(signal.reason));
      return Promise.withResolvers<InvokeResponse>().promise;
    });
    harness.deploy('g', () => answer({ body }));
    const [waiting, streaming] = [await harness.socket(), await harness.socket()];
    waiting.send(GET);
    streaming.send(GET.replace('/f', '/g'));
    await streaming.until(/200 OK/);
    await requests(2);
    await harness.router.close({ graceMs: 50 });
    expect(await waiting.untilClosed()).toMatch(/^HTTP\/1.1 503 [^]*SHUTTING_DOWN/);
    expect(await streaming.untilClosed()).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(reasons).toMatchObject([{ code: 'SHUTTING_DOWN' }]);
    expect(body.errored).toMatchObject({ code: 'SHUTTING_DOWN' });
  });
});
