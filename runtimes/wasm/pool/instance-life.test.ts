import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemorySink } from '../wasi/testing/memory-invocation.ts';
import type { EngineReceipt } from '../engine.ts';
import type { InstanceLife } from './index.ts';
import { EngineThread, type Answer } from './testing/engine-thread.ts';

const REUSE: InstanceLife = { mode: 'reuse', maxRequests: null, idleTimeoutMs: 60_000 };

let thread: EngineThread;
beforeEach(() => {
  thread = new EngineThread();
});
afterEach(() => thread.close());

async function texts(call: (path: string) => Promise<Answer>, count: number): Promise<string[]> {
  const all: string[] = [];
  for (let i = 0; i < count; i++) all.push((await call('/counter')).text.trim());
  return all;
}

describe('an instance that is reused', () => {
  it('keeps its state from request to request, where a fresh one has none', async () => {
    const fresh = await thread.deploy('torture.wasm');
    const reused = await thread.deploy('torture.wasm', { instance: REUSE });
    const [first] = await texts(fresh, 1);
    expect(new Set(await texts(fresh, 3))).toEqual(new Set([first]));
    expect(new Set(await texts(reused, 4)).size).toBe(4);
  });

  it('says so in the receipt', async () => {
    const call = await thread.deploy('torture.wasm', { instance: REUSE });
    const kinds: string[] = [];
    for (let i = 0; i < 3; i++) kinds.push((await call('/counter')).receipt.instance);
    expect(kinds).toEqual(['ready', 'reused', 'reused']);
  });

  it('is replaced after so many requests', async () => {
    const call = await thread.deploy('torture.wasm', { instance: { ...REUSE, maxRequests: 2 } });
    const [one, two, three, four, five] = await texts(call, 5);
    expect([three, four]).toEqual([one, two]);
    expect(five).toBe(one);
    expect(two).not.toBe(one);
  });

  it.each([
    '/trap',
    '/panic',
    '/exit?code=3',
    '/hoard-pollables',
    '/no-response',
    '/error-code',
    '/drop-body',
  ])('that ended by %s is never used again', async (path) => {
    const call = await thread.deploy('torture.wasm', { instance: REUSE });
    const [first] = await texts(call, 2);
    expect((await call(path)).error).not.toBeNull();
    expect(await texts(call, 1)).toEqual([first]);
  });

  it('has one request at a time: those that come at once have instances of their own', async () => {
    const call = await thread.deploy('torture.wasm', { instance: REUSE });
    await Promise.all([1, 2, 3].map(() => call('/sleep?ms=20')));
    const counted = await texts(call, 3);
    expect(new Set(counted).size).toBe(3);
    const both = await Promise.all([call('/sleep?ms=20'), call('/counter')]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
  });

  it('logs for the request that runs', async () => {
    const call = await thread.deploy('torture.wasm', { instance: REUSE });
    for (let i = 0; i < 3; i++) {
      const { log, status } = await call('/log?lines=2');
      // To stdout and to stderr.
      expect([status, log.trim().split('\n').length]).toEqual([200, 4]);
    }
  });
});

describe('a slow client', () => {
  it.each([
    ['reset', undefined],
    ['reused', REUSE],
  ])('gets its own bytes while the instance that wrote them is %s for others', async (_, instance) => {
    const call = await thread.deploy('torture.wasm', instance ? { instance } : {});
    // The first guest returns before its client has read a byte; the second has to wait for it.
    const sizes = [100_000, 200_000];
    const expected = await Promise.all(sizes.map((bytes) => call(`/big?bytes=${bytes}`)));
    const slow = sizes.map((bytes) => {
      const sink = new MemorySink();
      sink.stall();
      return { sink, answer: call(`/big?bytes=${bytes}`, undefined, sink) };
    });
    for (let i = 0; i < 20; i++) {
      expect((await call(`/echo-headers?n=${i}`)).status).toBe(200);
      expect((await call('/big?bytes=70000')).text).toHaveLength(70_000);
    }
    for (const { sink } of slow) sink.resume();
    const texts = (await Promise.all(slow.map(({ answer }) => answer))).map(({ text }) => text);
    expect(texts.map(({ length }) => length)).toEqual(sizes);
    expect(texts).toEqual(expected.map(({ text }) => text));
  });
});

describe('a receipt', () => {
  async function ofSleep(engine: 'component' | 'jco'): Promise<{ receipt: EngineReceipt; tookMs: number }> {
    const call = await thread.deploy('torture.wasm', {}, engine);
    await call('/hello');
    const began = performance.now();
    const { receipt } = await call('/sleep?ms=30');
    return { receipt, tookMs: performance.now() - began };
  }

  it('of the component engine adds up', async () => {
    const { receipt, tookMs } = await ofSleep('component');
    const { instantiateMs, guestMs, hostMs, waitingMs, peakMemoryBytes, instance } = receipt;
    expect(instance).toBe('ready');
    expect(peakMemoryBytes).toBeGreaterThan(65536);
    expect(instantiateMs + guestMs + hostMs + waitingMs).toBeLessThanOrEqual(tookMs + 1);
    expect(guestMs).toBeGreaterThan(0);
    expect(waitingMs).toBeGreaterThan(20);
    expect(hostMs).toBeGreaterThan(0);
    expect(hostMs).toBeLessThan(20);
  });

  it("of jco's engine says what can be seen from outside", async () => {
    const { receipt, tookMs } = await ofSleep('jco');
    const { instantiateMs, guestMs, peakMemoryBytes, instance } = receipt;
    expect(instance).toBe('new');
    expect(peakMemoryBytes).toBeGreaterThan(65536);
    expect(instantiateMs + guestMs).toBeLessThanOrEqual(tookMs + 1);
    expect(guestMs).toBeGreaterThan(0);
    expect(instantiateMs).toBeGreaterThan(0);
  });
});
