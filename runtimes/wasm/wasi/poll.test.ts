import { describe, expect, it } from 'vitest';
import { monotonicNow, subscribeDuration, subscribeInstant, wallClockNow } from './clocks.ts';
import { CALLS_WITHOUT_WAITING, HANDLE_CAPS, POLL_LIST_CAP, RANDOM_BYTES_CAP } from './limits.ts';
import { poll } from './poll.ts';
import { insecureSeed, randomBytes, randomU64 } from './random.ts';
import { GuestEnded, GuestTrap } from './stops.ts';
import { MemoryInvocation } from './testing/memory-invocation.ts';

const MS = 1_000_000n;
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('poll', () => {
  it('traps on an empty list and on one that is too long', () => {
    const { state } = new MemoryInvocation();
    expect(() => poll(state, [])).toThrow(GuestTrap);
    const long = new MemoryInvocation();
    const pollable = subscribeDuration(long.state, 0n);
    expect(() =>
      poll(
        long.state,
        Array.from({ length: POLL_LIST_CAP + 1 }, () => pollable),
      ),
    ).toThrow(GuestTrap);
  });

  it('gives the indices of all that are ready, at once', () => {
    const { state, turn } = new MemoryInvocation();
    const [past, never] = [subscribeInstant(state, 0n), subscribeInstant(state, 2n ** 64n - 1n)];
    expect(poll(state, [past, never, past])).toEqual(Uint32Array.of(0, 2));
    expect(turn.released).toBe(0);
  });

  it('waits for the first, without its turn', async () => {
    const { state, turn } = new MemoryInvocation();
    const [never, soon] = [subscribeDuration(state, 2n ** 64n - 1n), subscribeDuration(state, 5n * MS)];
    const before = process.hrtime.bigint();
    const ready = poll(state, [never, soon]);
    expect(turn.held).toBe(false);
    expect(await ready).toEqual(Uint32Array.of(1));
    expect(process.hrtime.bigint() - before).toBeGreaterThanOrEqual(5n * MS);
    expect(turn.held).toBe(true);
  });

  it('ends the guest, with its turn, when the invocation is aborted', async () => {
    const { state, abort, turn } = new MemoryInvocation();
    const pollable = subscribeDuration(state, 2n ** 63n);
    const timersBefore = timers();
    const blocked = pollable.block();
    expect(timers()).toBe(timersBefore + 1);
    abort.abort();
    await expect(blocked).rejects.toThrow(GuestEnded);
    expect(turn.held).toBe(true);
    expect(() => pollable.ready()).toThrow(GuestEnded);
    expect(timers()).toBe(timersBefore);
  });

  it('lets the event loop run under a guest that polls what is always ready', async () => {
    const { state } = new MemoryInvocation();
    const ready = subscribeInstant(state, 0n);
    let ran = false;
    setImmediate(() => (ran = true));
    let waited = 0;
    for (let call = 0; call < CALLS_WITHOUT_WAITING; call += 1) {
      const wait = ready.block();
      if (wait) {
        waited += 1;
        await wait;
      }
    }
    expect(waited).toBe(1);
    expect(ran).toBe(true);
  });

  it('caps live pollables, and takes new ones once old ones were dropped', () => {
    const { state } = new MemoryInvocation();
    const pollables = Array.from({ length: HANDLE_CAPS.pollable }, () => subscribeDuration(state, 0n));
    pollables.pop()?.[Symbol.dispose]();
    pollables.push(subscribeDuration(state, 0n));
    expect(() => subscribeDuration(state, 0n)).toThrow(/4096 pollable handles/);
  });
});

describe('clocks and random', () => {
  it('counts monotonic time in nanoseconds and wall time in seconds', async () => {
    const { state } = new MemoryInvocation();
    const before = monotonicNow(state);
    await subscribeDuration(state, 2n * MS).block();
    const passed = monotonicNow(state) - before;
    expect(passed).toBeGreaterThanOrEqual(2n * MS);
    expect(passed).toBeLessThan(10_000n * MS);
    const { seconds, nanoseconds } = wallClockNow(state);
    expect(Math.abs(Number(seconds) * 1000 + nanoseconds / 1e6 - Date.now())).toBeLessThan(5000);
  });

  it('gives random bytes of any length up to the cap, and traps beyond before it allocates', () => {
    const { state } = new MemoryInvocation();
    expect(randomBytes(state, 0n)).toHaveLength(0);
    const bytes = randomBytes(state, BigInt(RANDOM_BYTES_CAP));
    expect(bytes).toHaveLength(RANDOM_BYTES_CAP);
    expect(bytes.subarray(-64).some((byte) => byte !== 0)).toBe(true);
    expect(randomU64(state)).not.toBe(randomU64(state));
    expect(insecureSeed(state)).toHaveLength(2);
    expect(() => randomBytes(state, 2n ** 64n - 1n)).toThrow(GuestTrap);
  });
});
