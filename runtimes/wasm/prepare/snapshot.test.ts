import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { wat } from '../rewrite/testing/wat.ts';
import type { PrepareSteps } from './steps.ts';
import { PreparedGuest } from './testing/prepared-guest.ts';

const GUESTS = join(import.meta.dirname, '../../../test/guests/built');
/** What the guest's initialiser leaves: the table's sum, and that it ran once. */
const LEFT = /^(\d+) 1 \d+\n$/;

const open: PreparedGuest[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((guest) => guest.close()));
});

async function prepared(
  guest: string | Uint8Array,
  steps: Partial<PrepareSteps> = {},
): Promise<PreparedGuest> {
  const source = typeof guest === 'string' ? await readFile(join(GUESTS, guest)) : guest;
  const made = await PreparedGuest.of(source, steps);
  open.push(made);
  return made;
}

async function answers(guest: PreparedGuest): Promise<string[]> {
  const bodies: string[] = [];
  for (let i = 0; i < 3; i++) bodies.push(await guest.call());
  return bodies;
}

const seeds = (bodies: readonly string[]): number => new Set(bodies.map((body) => body.split(' ')[2])).size;

describe('a component that initialises itself', () => {
  it('begins where its initialiser left it, and is reset to there', async () => {
    const guest = await prepared('startup.wasm');
    const { manifest } = guest;
    expect(manifest.reason).toContain('begun from a snapshot of its initialised state (1031 KiB)');
    expect(manifest.resetBlocker).toBeNull();
    const bodies = await answers(guest);
    const without = await prepared('startup.wasm', { snapshot: false });
    expect(without.manifest.resetBlocker).toBe('it has a start function');
    expect(without.manifest.reason).not.toContain('snapshot');
    const others = await answers(without);
    for (const body of [...bodies, ...others]) expect(body).toMatch(LEFT);
    expect(new Set([...bodies, ...others].map((body) => body.split(' ')[0])).size).toBe(1);
    // Made in each request, not in the snapshot.
    expect(seeds(bodies)).toBe(3);
  });

  it('begins anew each time where it makes a hash map’s seed', async () => {
    const guest = await prepared('startup-seed.wasm');
    const { manifest } = guest;
    expect(manifest.reason).toMatch(
      /initialised anew each time because no snapshot could be taken \(it calls wasi:random\/insecure-seed@\S+ insecure-seed before its first request\)/,
    );
    const bodies = await answers(guest);
    for (const body of bodies) expect(body).toMatch(LEFT);
    expect(seeds(bodies)).toBe(3);
  });

  it('is as it was where nothing runs before the first request', async () => {
    const [guest, without] = [
      await prepared('hello.wasm'),
      await prepared('hello.wasm', { snapshot: false }),
    ];
    expect(guest.manifest).toEqual(without.manifest);
    expect(guest.manifest.reason).not.toContain('snapshot');
    expect((await guest.core()).equals(await without.core())).toBe(true);
  });
});

describe('a command', () => {
  it('with a start function or an export of Wizer’s begins from a snapshot', async () => {
    const text = `(module (memory (export "memory") 1) (func $start (i32.store (i32.const 8) (i32.const 1)))
      (start $start) (func (export "wizer.initialize") (i32.store (i32.const 12) (i32.const 2)))
      (func (export "_start")))`;
    const { reason, resetBlocker } = (await prepared(await wat(text))).manifest;
    expect(reason).toContain('begun from a snapshot of its initialised state (1 KiB)');
    expect(resetBlocker).toBeNull();
  });

  it('is initialised anew where that reads a clock', async () => {
    const text = `(module (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
      (memory (export "memory") 1) (start $start) (func (export "_start"))
      (func $start (drop (call $time (i32.const 0) (i64.const 0) (i32.const 0)))))`;
    const { reason, resetBlocker } = (await prepared(await wat(text))).manifest;
    expect(reason).toContain('it calls wasi_snapshot_preview1 clock_time_get before its first request');
    expect(resetBlocker).toBe('it has a start function');
  });
});
