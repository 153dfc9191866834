/** The cap on live memories over real threads, and what requests past it come to. */
import { afterEach, expect, it } from 'vitest';
import { call, TestHost } from '../testing/host.ts';
import { memoriesFor } from './system-limits.ts';

/** Few enough for a quick test; what the system allows is `memoriesFor`. */
const MAX_MEMORIES = 24;
/** Each counts what it is about to make before it looks whether it may. */
const THREADS = 2;

const hosts: TestHost[] = [];
afterEach(async () => {
  await Promise.all(hosts.splice(0).map((each) => each.close()));
});

async function cappedHost(): Promise<{ host: TestHost; most: () => number }> {
  const host = await TestHost.start(THREADS, { caps: { maxMemories: MAX_MEMORIES } });
  hosts.push(host);
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, host.host.stats().held.memories)), 1);
  return {
    host,
    most: () => {
      clearInterval(watch);
      return most;
    },
  };
}

it('guests that are suspended in two threads share the cap: all are answered in turn', async () => {
  const { host, most } = await cappedHost();
  const torture = await host.deploy('torture.wasm');
  const hello = await host.deploy('hello.wasm');
  const sleeping = Array.from({ length: 300 }, () => call(torture, '/sleep?ms=50'));
  const quick = Array.from({ length: 50 }, () => call(hello, '/'));
  const statuses = (await Promise.all([...sleeping, ...quick])).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(most()).toBeGreaterThan(MAX_MEMORIES / 2);
  expect(most()).toBeLessThanOrEqual(MAX_MEMORIES + THREADS);
});

it('who waits too long for others to end is refused, and the others end as they would', async () => {
  const { host, most } = await cappedHost();
  const torture = await host.deploy('torture.wasm');
  // Longer than requests wait for room (10 s).
  const sleeping = Array.from({ length: MAX_MEMORIES + 20 }, () =>
    call(torture, '/sleep?ms=11500').then(
      ({ status }) => String(status),
      (error: { code: string }) => error.code,
    ),
  );
  const ends = await Promise.all(sleeping);
  const count = (end: string): number => ends.filter((each) => each === end).length;
  expect(count('200') + count('PLATFORM_BUSY')).toBe(ends.length);
  expect(count('200')).toBeGreaterThan(0);
  expect(count('200')).toBeLessThanOrEqual(MAX_MEMORIES);
  expect(most()).toBeLessThanOrEqual(MAX_MEMORIES + THREADS);
  expect((await call(torture, '/hello')).status).toBe(200);
});

it('the cap leaves the process room for its own mappings, whatever the system allows', () => {
  for (const mappings of [65_530, 262_144, 1_048_576]) {
    expect(memoriesFor(mappings) * 5 + 16_000).toBeLessThan(mappings);
  }
});
