import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CASES } from '../../../test/conformance/cases.ts';
import type { GuestRequest } from '../engine.ts';
import { wat } from '../rewrite/testing/wat.ts';
import { linkComponent, makeComponentResettable, mergeComponent } from './index.ts';
import { GuestFunction, type Answer } from './testing/guest-function.ts';

const GUESTS = join(import.meta.dirname, '../../../test/guests/built');

function guest(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(join(GUESTS, name)));
}

function coresOf(bytes: Uint8Array): { plan: ReturnType<typeof linkComponent>; cores: Uint8Array[] } {
  const plan = linkComponent(bytes);
  return { plan, cores: plan.modules.map(({ offset, length }) => bytes.slice(offset, offset + length)) };
}

function requestOf(item: (typeof CASES)[number]): Partial<GuestRequest> {
  const { method = 'GET', headers = {}, body } = item;
  let left = body === undefined ? [] : [Buffer.from(body)];
  return {
    method,
    headers: Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)] as never),
    body:
      body === undefined
        ? null
        : {
            read: () => Promise.resolve(left.shift() ?? null),
            trailers: () => Promise.resolve([]),
            cancel: () => (left = []),
          },
  };
}

/** What of an answer is the same each time. */
function steady(answer: Answer): unknown {
  return JSON.parse(
    JSON.stringify(answer)
      .replace(/it held [\d.]+ of/g, 'it held N of')
      .replace(/[0-9a-f]{32}/g, 'RANDOM'),
  );
}

/** Those whose answer is a matter of luck or of time. */
const UNSTEADY = /^\/(random|outbound|poll|hoard|alloc$|recurse$)/;

describe.each(['torture.wasm', 'torture-adapted.wasm'])('%s in one core module', (name) => {
  const bytes = guest(name);

  it('is instantiated once, and reset', () => {
    const { plan, cores } = coresOf(bytes);
    expect(plan.instantiations.length).toBeGreaterThan(2);
    const merged = mergeComponent(plan, cores);
    expect(merged.declined).toBeNull();
    expect([merged.cores.length, merged.plan.instantiations.length]).toEqual([1, 1]);
    expect(merged.plan.modules).toEqual([{ length: merged.cores[0]?.length }]);
    expect(JSON.parse(JSON.stringify(merged.plan))).toEqual(merged.plan);
    expect(makeComponentResettable(merged.plan, merged.cores)).toMatchObject({ blocker: null });
  });

  it('answers as it does apart, from new instances and from one that is reset', async () => {
    const apart = new GuestFunction(bytes, null, 2048, false);
    const merged = new GuestFunction(bytes, null);
    const reset = new GuestFunction(bytes);
    expect([apart.mergeBlocker, merged.mergeBlocker, reset.blocker]).toEqual([
      'it is not wanted',
      null,
      null,
    ]);
    const cases = CASES.filter(({ path }) => !UNSTEADY.test(path));
    expect(cases.length).toBeGreaterThan(20);
    let answered = 0;
    for (const item of [...cases, ...cases]) {
      const expected = steady(await apart.call(item.path, requestOf(item)));
      expect(steady(await merged.call(item.path, requestOf(item))), item.name).toEqual(expected);
      expect(steady(await reset.call(item.path, requestOf(item))), item.name).toEqual(expected);
      if ((expected as Answer).error === null) answered++;
    }
    expect(answered).toBeGreaterThan(20);
    expect(reset.made).toBeLessThan(merged.made / 2);
  }, 60_000);
});

describe('a component that says no', () => {
  it('of one instance stays as it is', async () => {
    const { plan, cores } = coresOf(
      await wat('(component (core module $m) (core instance (instantiate $m)))'),
    );
    expect(mergeComponent(plan, cores)).toEqual({ plan, cores, declined: null });
  });

  it('of two memories stays apart, and says why', async () => {
    const { plan, cores } = coresOf(
      await wat(
        `(component (core module $m (memory 1)) (core instance (instantiate $m)) (core instance (instantiate $m)))`,
      ),
    );
    expect(mergeComponent(plan, cores)).toEqual({
      plan,
      cores,
      declined: 'they have more than one memory between them',
    });
  });

  it('with a module that is not valid stays apart', async () => {
    // Only the merged module would have a function 1.
    const { plan, cores } = coresOf(
      await wat(`(component (core module $m (func (call 1))) (core module $n (func))
        (core instance (instantiate $m)) (core instance (instantiate $n)))`),
    );
    expect(mergeComponent(plan, cores)).toEqual({ plan, cores, declined: 'one of them is not valid' });
  });
});

describe('a component whose main module initialises itself', () => {
  it('answers as it does apart', async () => {
    const bytes = guest('startup.wasm');
    const apart = new GuestFunction(bytes, null, 2048, false);
    const merged = new GuestFunction(bytes);
    expect([merged.mergeBlocker, merged.blocker]).toEqual([null, 'it has a start function']);
    for (const path of ['/', '/again']) {
      const answer = await merged.call(path);
      // The last number is random.
      const lasting = ({ text }: Answer): string => text.replace(/\d+\n?$/, '');
      expect(lasting(answer)).toBe(lasting(await apart.call(path)));
      expect(answer).toMatchObject({ status: 200, error: null });
    }
  });

  it('is started once its memory is there, and not reset', async () => {
    const text = `(component
      (import "wasi:random/insecure@0.2.0" (instance $i (export "get-insecure-random-u64" (func (result u64)))))
      (core func $random (canon lower (func $i "get-insecure-random-u64")))
      (core module $m (memory (export "memory") 1) (func (export "init") (i32.store (i32.const 0) (i32.const 9))))
      (core instance $m (instantiate $m))
      (core module $s (import "m" "init" (func $init)) (import "m" "random" (func $random (result i64)))
        (func $both (call $init) (drop (call $random))) (start $both))
      (core instance (instantiate $s (with "m" (instance (export "init" (func $m "init")) (export "random" (func $random)))))))`;
    const { plan, cores } = coresOf(await wat(text));
    const merged = mergeComponent(plan, cores);
    expect(merged.plan.start).toEqual({ from: 'export', instance: 0, name: 'fissium_start' });
    expect(makeComponentResettable(merged.plan, merged.cores).blocker).toBe('it has a start function');
    const module = new WebAssembly.Module((merged.cores[0] ?? new Uint8Array()) as BufferSource);
    let called = 0;
    const { exports } = new WebAssembly.Instance(module, {
      host: { 0: () => BigInt(called++) } as WebAssembly.ModuleImports,
    });
    expect(called).toBe(0);
    (exports['fissium_start'] as () => void)();
    expect(called).toBe(1);
  });
});
