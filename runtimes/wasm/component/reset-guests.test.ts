import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wat } from '../rewrite/testing/wat.ts';
import { GuestFunction } from './testing/guest-function.ts';

const GUESTS = join(import.meta.dirname, '../../../test/guests/built');
const TORTURE = new Uint8Array(readFileSync(join(GUESTS, 'torture.wasm')));
const HELLO = new Uint8Array(readFileSync(join(GUESTS, 'hello.wasm')));

/** Calls whose answers depend on nothing but the call, some of which write far from where a small request does. */
const PATHS: readonly string[] = [
  '/',
  '/hello',
  '/echo-headers?x=1',
  '/status?code=404',
  '/counter',
  '/log?lines=3',
  '/env',
  '/many-headers?count=50',
  '/big?bytes=300000',
  '/alloc?mb=3',
  '/alloc?bytes=3000000',
  '/recurse?depth=20',
  '/sleep?ms=1',
  '/error-code',
  '/drop-body',
  '/no-response',
  '/trap',
  '/panic',
  '/exit?code=3',
  '/trap-after-head',
  '/nowhere',
];

function bytesOf(guest: GuestFunction): Buffer {
  const { memory } = guest.last ?? {};
  return Buffer.from(new Uint8Array(memory?.buffer ?? new ArrayBuffer(0)));
}

describe('a real guest', () => {
  it('hello serves every request with one instance', async () => {
    const guest = new GuestFunction(HELLO);
    expect(guest.blocker).toBeNull();
    for (let i = 0; i < 50; i++)
      expect(await guest.call('/')).toMatchObject({ status: 200, text: 'Hello, world!\n', error: null });
    expect([guest.made, guest.idle]).toEqual([1, 1]);
    expect(guest.last?.state).toBe('clean');
  });

  it('answers the same from a reset instance as from a new one, and leaves nothing in its memory', async () => {
    const fresh = new GuestFunction(TORTURE, null);
    const expected = new Map<string, unknown>();
    for (const path of PATHS) expected.set(path, await fresh.call(path));
    expect(
      [...expected.values()].filter((answer) => (answer as { error: unknown }).error === null).length,
    ).toBeGreaterThan(10);
    const reset = new GuestFunction(TORTURE);
    await reset.call('/hello');
    const clean = bytesOf(reset);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS), async (path) => {
        const answer = await reset.call(path);
        const normal = (item: unknown): string =>
          JSON.stringify(item).replace(/it held [\d.]+ of/g, 'it held N of');
        expect(normal(answer)).toBe(normal(expected.get(path)));
        if (reset.last?.state !== 'clean') return;
        const now = bytesOf(reset);
        const differs = now.subarray(0, clean.length).findIndex((byte, at) => byte !== clean[at]);
        expect(differs).toBe(-1);
        expect(now.subarray(clean.length).every((byte) => byte === 0)).toBe(true);
      }),
      { numRuns: 150 },
    );
    // Those that trap, exit or grow too far are the only ones that cost an instance.
    expect(reset.made).toBeLessThan(110);
  }, 120_000);

  it.each([
    ['imports its memory', {}],
    ['has a memory of its own', { memoryImport: false }],
  ])('that %s cannot grow it past the limit', async (_, steps) => {
    const guest = new GuestFunction(TORTURE, steps, 80);
    expect(await guest.call('/alloc?bytes=1000000')).toMatchObject({ status: 200, error: null });
    expect((await guest.call('/alloc?bytes=8000000')).error).toMatch(/trapped/);
    expect(guest.last?.memoryBytes).toBeLessThanOrEqual(80 * 65_536);
  });

  it('at the same time as others is an instance of its own', async () => {
    const guest = new GuestFunction(TORTURE);
    const answers = await Promise.all([1, 2, 3, 4].map(() => guest.call('/sleep?ms=30')));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect([guest.made, guest.idle]).toEqual([4, 4]);
    await Promise.all([1, 2, 3].map(() => guest.call('/sleep?ms=5')));
    expect(guest.made).toBe(4);
  });

  it.each(['/trap', '/panic', '/exit?code=3', '/hoard-pollables'])(
    'that ended by %s is dropped',
    async (path) => {
      const guest = new GuestFunction(TORTURE);
      await guest.call('/hello');
      const first = guest.last;
      expect((await guest.call(path)).error).not.toBeNull();
      expect([guest.last === first, first?.state, guest.idle]).toEqual([true, 'dropped', 0]);
      expect(await guest.call('/counter')).toMatchObject({ status: 200, text: '1\n' });
    },
  );

  it('that nobody waits for any more is dropped', async () => {
    const guest = new GuestFunction(TORTURE);
    const abort = new AbortController();
    const call = guest.call('/sleep?ms=60000', {}, abort.signal);
    await new Promise((resolve) => setImmediate(resolve));
    expect(guest.last?.state).toBe('suspended');
    abort.abort();
    expect((await call).error).toMatch(/nobody waits/);
    expect([guest.last?.state, guest.idle]).toEqual(['dropped', 0]);
  });
});

/** A handler that calls `pollable.block` with a handle that it does not have, and catches whatever comes. */
function catchAll(after: string): string {
  return `(component
    (import "wasi:io/poll@0.2.0" (instance $poll
      (export "pollable" (type $p (sub resource)))
      (export "[method]pollable.block" (func (param "self" (borrow $p))))))
    (import "wasi:http/types@0.2.0" (instance $types
      (export "incoming-request" (type (sub resource)))
      (export "response-outparam" (type (sub resource)))))
    (alias export $types "incoming-request" (type $request))
    (alias export $types "response-outparam" (type $outparam))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core module $m
      (import "host" "block" (func $block (param i32)))
      (memory (export "memory") 1)
      (func $again (export "handle") (param i32 i32)
        (block $caught (try_table (catch_all $caught) (call $block (i32.const 77))))
        ${after}))
    (core instance $i (instantiate $m (with "host" (instance (export "block" (func $block))))))
    (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
      (canon lift (core func $i "handle")))
    (instance $handler (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))`;
}

describe('a guest that catches everything', () => {
  it.each([
    ['and goes on in a loop', '(loop $spin (br $spin))'],
    [
      'and calls the host again and again',
      '(loop $spin (block $c (try_table (catch_all $c) (call $block (i32.const 77)))) (br $spin))',
    ],
    ['and calls itself', '(call $again (i32.const 0) (i32.const 0))'],
    ['and returns', ''],
  ])('%s is ended by the host', async (_, after) => {
    const guest = new GuestFunction(await wat(catchAll(after)));
    const answer = await guest.call('/');
    expect(answer.error).toMatch(/77 is not a handle/);
    expect(guest.last?.state).toBe('dropped');
  });
});

/**
 * A guest that hides something past the size that its memory has in this request, and looks for it in the next: with
 * the path `/g` it grows to where that is first, as it may. It traps where it finds something.
 */
function hider(): Promise<Uint8Array> {
  return wat(`(component
    (import "wasi:http/types@0.2.0" (instance $types
      (export "incoming-request" (type $r (sub resource)))
      (export "response-outparam" (type (sub resource)))
      (export "[method]incoming-request.path-with-query" (func (param "self" (borrow $r)) (result (option string))))))
    (alias export $types "incoming-request" (type $request))
    (alias export $types "response-outparam" (type $outparam))
    (core module $libc
      (memory (export "memory") 2)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))
    (core func $path (canon lower (func $types "[method]incoming-request.path-with-query")
      (memory $memory) (realloc $realloc)))
    (core module $main
      (import "host" "memory" (memory 2))
      (import "host" "path" (func $path (param i32 i32)))
      (func (export "handle") (param i32 i32)
        (call $path (local.get 0) (i32.const 16))
        (if (i32.ne (memory.size) (i32.const 2)) (then (unreachable)))
        (if (i32.eq (i32.load8_u (i32.const 1025)) (i32.const 103))
          (then (if (i32.ne (memory.grow (i32.const 6)) (i32.const 2)) (then (unreachable)))))
        (if (i32.load (i32.const 400000)) (then (unreachable)))
        (if (i64.ne (i64.load (i32.const 524280)) (i64.const 0)) (then (unreachable)))
        (i32.store (i32.const 400000) (i32.const 42))
        (memory.fill (i32.const 524280) (i32.const 7) (i32.const 8))))
    (core instance $main (instantiate $main (with "host" (instance
      (export "memory" (memory $memory)) (export "path" (func $path))))))
    (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
      (canon lift (core func $main "handle")))
    (instance $handler (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))`);
}

describe('a guest that writes past its virtual memory', () => {
  it('finds nothing of it in the next request, whether it grows there or not', async () => {
    const guest = new GuestFunction(await hider());
    expect(guest.blocker).toBeNull();
    const ends = new Set<string | null>();
    for (const path of ['/g', '/w', '/w', '/g', '/w', '/g', '/g']) ends.add((await guest.call(path)).error);
    expect(ends).toEqual(new Set(['the function returned without an answer']));
    expect([guest.made, guest.last?.state]).toEqual([1, 'clean']);
  });
});

describe('what a guest calls its imports', () => {
  it('__proto__ takes nothing of ours', async () => {
    const bytes = await wat(
      catchAll('(loop $spin (br $spin))')
        .replaceAll('"host"', '"__proto__"')
        .replaceAll('"block" (func', '"toString" (func'),
    );
    const before = Reflect.ownKeys(Object.prototype).length;
    const guest = new GuestFunction(bytes);
    expect((await guest.call('/')).error).toMatch(/77 is not a handle/);
    expect(Reflect.ownKeys(Object.prototype)).toHaveLength(before);
  });

  it('fissium is refused, since it would be the control block of its thread', async () => {
    const bytes = await wat(`(component
      (core module $a (memory (export "control") 1 1 shared))
      (core module $b (import "fissium" "control" (memory 1 1 shared)))
      (core instance $i (instantiate $a))
      (core instance (instantiate $b (with "fissium" (instance $i)))))`);
    expect(() => new GuestFunction(bytes)).toThrow(/imports from fissium, the platform's own name/);
  });
});
