/** Guests that compute for long, and their neighbours: real threads, each engine. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { slowRealloc, spinsInRealloc, spinsInStart } from './testing/components.ts';
import { call, TestHost } from './testing/host.ts';

vi.setConfig({ testTimeout: 120_000 });

const hosts: TestHost[] = [];
afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.close()));
});

async function start(threads: number): Promise<TestHost> {
  const host = await TestHost.start(threads);
  hosts.push(host);
  return host;
}

/** What a call came to: `ok`, or the code of its failure. */
async function outcome(answer: Promise<unknown>): Promise<unknown> {
  try {
    await answer;
    return 'ok';
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
}

/** How often `/spin` went round, told from the last number of its sequence. */
function roundsOf(body: string): number {
  const wanted = BigInt(body.trim());
  const wrap = (value: bigint): bigint => BigInt.asUintN(64, value);
  // One round is a million steps: 2^6 × 5^6 of them, as one.
  let [factor, added] = [6_364_136_223_846_793_005n, 1n];
  for (const times of [...Array<number>(6).fill(2), ...Array<number>(6).fill(5)]) {
    const step = [factor, added] as const;
    for (let i = 1; i < times; i++)
      [factor, added] = [wrap(factor * step[0]), wrap(added * step[0] + step[1])];
  }
  let state = 1n;
  for (let rounds = 0; rounds < 1_000_000; rounds++) {
    if (state === wanted) return rounds;
    state = wrap(state * factor + added);
  }
  throw new Error(`${body} is not one of the numbers that /spin comes by`);
}

describe.each(['component', 'jco'] as const)('with the engine %s', (engine) => {
  it('answers short requests while each thread has a guest that computes without end', async () => {
    const host = await start(2);
    const fn = await host.deploy('torture.wasm', { engine, cpuTimeMs: 60_000 });
    const leave = new AbortController();
    const spinners = [1, 2].map(() => outcome(call(fn, '/spin', { signal: leave.signal })));
    for (let i = 0; i < 20; i++) expect((await call(fn, '/hello')).body).toBe('Hello, world!\n');
    // They were there all the time.
    expect(host.host.stats().inFlight).toBeGreaterThanOrEqual(2);
    leave.abort();
    expect(await Promise.all(spinners)).toEqual(['CLIENT_GONE', 'CLIENT_GONE']);
    expect((await call(fn, '/hello')).status).toBe(200);
    expect(host.host.stats().threadsReplaced).toBe(0);
  });

  it('goes on with a long computation where it was', async () => {
    const host = await start(1);
    const fn = await host.deploy('torture.wasm', { engine });
    const long = call(fn, '/spin?ms=400');
    let short = 0;
    for (let i = 0; i < 10; i++) if ((await call(fn, '/hello')).status === 200) short++;
    expect(short).toBe(10);
    expect((await long).body).toMatch(/^\d+\n$/);
  });

  it('never suspends a guest within an allocation, and ends it there', async () => {
    const host = await start(1);
    const spins = await host.deploy(await spinsInRealloc(), { engine, cpuTimeMs: 300 });
    expect(await outcome(call(spins, '/'))).toBe('CPU_LIMIT');
    const slow = await host.deploy(await slowRealloc(), { engine });
    // It returns without an answer; a suspension would have failed it.
    expect(await outcome(call(slow, '/'))).toBe('GUEST_NO_RESPONSE');
    expect(host.host.stats().threadsReplaced).toBe(0);
  });

  it('ends a guest that spins while it is instantiated', async () => {
    const host = await start(1);
    const fn = await host.deploy(await spinsInStart(), { engine, cpuTimeMs: 300 });
    expect(await outcome(call(fn, '/'))).toBe('CPU_LIMIT');
    expect(await outcome(call(fn, '/'))).toBe('CPU_LIMIT');
    expect(host.host.stats().threadsReplaced).toBe(0);
  });

  it('ends recursion by its stack, and the thread serves on', async () => {
    const host = await start(1);
    const fn = await host.deploy('torture.wasm', { engine });
    expect(await outcome(call(fn, '/recurse'))).toBe('GUEST_TRAPPED');
    expect((await call(fn, '/hello')).status).toBe(200);
  });
});

describe('two functions that compute in one thread', () => {
  it('get the more of its time the more they weigh', async () => {
    const host = await start(1);
    const [light, heavy] = [
      await host.deploy('torture.wasm', { cpuWeight: 0.1 }),
      await host.deploy('torture.wasm', { cpuWeight: 0.4 }),
    ];
    // Both optimised, and the thread warm.
    for (const fn of [light, heavy]) await call(fn, '/spin?ms=100');
    // By the wall clock: what each has done meanwhile says how much of the thread it had. How much exactly is up to
    // the machine as well; `cpu-shares.test.ts` counts turns.
    const answers = await Promise.all([light, heavy].map((fn) => call(fn, '/spin?ms=600')));
    const [ofLight = 0, ofHeavy = 0] = answers.map(({ body }) => roundsOf(body));
    expect(ofLight).toBeGreaterThan(0);
    expect(ofHeavy).toBeGreaterThan(ofLight);
    // Short requests of the light one do not wait for that.
    const spinning = call(heavy, '/spin?ms=300');
    expect((await call(light, '/hello')).status).toBe(200);
    expect((await spinning).status).toBe(200);
  });
});

describe('a hundred guests that compute without end', () => {
  it('all end at their limit, and short requests are answered in between', async () => {
    const host = await start(2);
    const fn = await host.deploy('torture.wasm', { cpuTimeMs: 100 });
    let over = 0;
    const spinners = Array.from({ length: 100 }, async () => {
      const code = await outcome(call(fn, '/spin'));
      over++;
      return code;
    });
    expect((await call(fn, '/hello')).status).toBe(200);
    expect(over).toBeLessThan(100);
    expect(new Set(await Promise.all(spinners))).toEqual(new Set(['CPU_LIMIT']));
    expect(host.host.stats()).toMatchObject({ threadsReplaced: 0, queued: 0 });
  });
});

describe('CPU time', () => {
  it('is not charged while a guest waits for its neighbours', async () => {
    const host = await start(1);
    const fn = await host.deploy('torture.wasm', { cpuTimeMs: 300 });
    const startedAt = performance.now();
    const codes = await Promise.all(Array.from({ length: 6 }, () => outcome(call(fn, '/spin'))));
    expect(new Set(codes)).toEqual(new Set(['CPU_LIMIT']));
    // Each had its 300 ms: charged for the others' time as well, all would have ended after the first 300.
    expect(performance.now() - startedAt).toBeGreaterThan(6 * 300 * 0.9);
  });

  it('is not charged while a guest sleeps', async () => {
    const host = await start(1);
    const fn = await host.deploy('torture.wasm', { cpuTimeMs: 200 });
    expect((await call(fn, '/sleep?ms=700')).body).toBe('slept\n');
  });
});

describe('a command', () => {
  it.each(['catch-all-loop.wasm', 'start-spins.wasm'])('%s ends at its limit', async (guest) => {
    const host = await start(1);
    const fn = await host.deploy(guest, { cpuTimeMs: 200 });
    expect(await outcome(call(fn, '/'))).toBe('CPU_LIMIT');
    expect(host.host.stats().threadsReplaced).toBe(0);
  });

  it('gives way to its neighbours', async () => {
    const host = await start(1);
    const [spins, hello] = [
      await host.deploy('cgi.wasm', { cpuTimeMs: 60_000 }),
      await host.deploy('torture.wasm'),
    ];
    const leave = new AbortController();
    const spinner = outcome(call(spins, '/spin', { signal: leave.signal }));
    for (let i = 0; i < 5; i++) expect((await call(hello, '/hello')).status).toBe(200);
    expect(host.host.stats().inFlight).toBeGreaterThanOrEqual(1);
    leave.abort();
    expect(await spinner).toBe('CLIENT_GONE');
    expect((await call(hello, '/hello')).status).toBe(200);
  });
});
