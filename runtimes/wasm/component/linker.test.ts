import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wat } from '../rewrite/testing/wat.ts';
import { ASYNC_IMPORTS } from '../wasi/index.ts';
import {
  checkHostImports,
  checkSignatures,
  compileTrampolines,
  DecodeError,
  findEntry,
  linkComponent,
  LinkDeclined,
  LinkRefused,
  makeComponentResettable,
  mergeComponent,
} from './index.ts';

const GUESTS = join(import.meta.dirname, '../../../test/guests/built');
const HANDLER = /^wasi:http\/incoming-handler@/;

function guest(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(join(GUESTS, name)));
}

function whole(bytes: Uint8Array): void {
  const plan = linkComponent(bytes);
  checkSignatures(plan);
  compileTrampolines(plan, new Set(ASYNC_IMPORTS));
  const cores = plan.modules.map(({ offset, length }) => bytes.slice(offset, offset + length));
  const merged = mergeComponent(plan, cores);
  makeComponentResettable(merged.plan, merged.cores);
}

describe('linking', () => {
  it.each(['hello.wasm', 'torture.wasm'])('%s gives a plan that can be reset', (name) => {
    const bytes = guest(name);
    const plan = linkComponent(bytes);
    const entry = plan.exports.find((item) => HANDLER.test(item.interface));
    expect(findEntry(plan, entry?.interface ?? '')).toBeGreaterThanOrEqual(0);
    expect(() => checkSignatures(plan)).not.toThrow();
    const cores = plan.modules.map(({ offset, length }) => bytes.slice(offset, offset + length));
    const { blocker, plan: resettable } = makeComponentResettable(plan, cores);
    expect(blocker).toBeNull();
    expect(resettable.reset).toEqual({ instances: [1], window: { from: 1_032_192, to: 1_179_648 } });
    expect(JSON.parse(JSON.stringify(resettable))).toEqual(resettable);
  });

  it.each(readdirSync(GUESTS).filter((name) => guest(name)[4] === 1))(
    'the core module %s is no component',
    (name) => {
      expect(() => linkComponent(guest(name))).toThrow(DecodeError);
    },
  );

  it.each([
    ['an async function', '(component (import "f" (func async)))', LinkDeclined, /WASI 0\.3|encoding|async/],
    ['a type beyond 0.2', '(component (type (stream u8)))', LinkDeclined, /beyond WASI 0\.2/],
    ['a core type', '(component (core type (func)))', LinkDeclined, /core types/],
    ['an imported module', '(component (import "m" (core module)))', LinkDeclined, /core module|core types/],
    [
      'components that call each other',
      `(component
        (component $a (core module $m (func (export "f"))) (core instance $i (instantiate $m))
          (func (export "f") (canon lift (core func $i "f"))))
        (component $b (import "f" (func $f)) (core func (canon lower (func $f))))
        (instance $ia (instantiate $a)) (instance (instantiate $b (with "f" (func $ia "f")))))`,
      LinkDeclined,
      /call each other/,
    ],
    [
      'two memories',
      `(component (import "f" (func $f (param "s" string)))
        (core module $m (memory (export "memory") 1))
        (core instance $a (instantiate $m)) (core instance $b (instantiate $m))
        (core func (canon lower (func $f) (memory (core memory $a "memory"))))
        (core func (canon lower (func $f) (memory (core memory $b "memory")))))`,
      LinkDeclined,
      /more than one memory/,
    ],
  ])('declines %s', async (_, text, kind, message) => {
    const bytes = await wat(text);
    const link = (): unknown => linkComponent(bytes);
    expect(link).toThrow(kind);
    expect(link).toThrow(message);
  });

  it('declines strings in latin1+utf16', async () => {
    const plan = linkComponent(
      await wat(`(component (import "f" (func $f (param "s" string)))
        (core module $m (memory (export "memory") 1)) (core instance $a (instantiate $m))
        (core func (canon lower (func $f) (memory (core memory $a "memory")) string-encoding=latin1+utf16)))`),
    );
    expect(() => compileTrampolines(plan, new Set())).toThrow(/latin1\+utf16/);
  });
});

describe('signatures', () => {
  const poll = (name: string, type: string): string => `(component
    (import "wasi:io/poll@0.2.3" (instance $i
      (export "pollable" (type $p (sub resource)))
      (export "${name}" (func ${type}))))
    (core func (canon lower (func $i "${name}"))))`;

  it.each([
    ['[method]pollable.block', '(param "self" (borrow $p))'],
    ['[method]pollable.ready', '(param "self" (borrow $p)) (result bool)'],
  ])('%s as WASI has it is taken', async (name, type) => {
    const plan = linkComponent(await wat(poll(name, type)));
    expect(() => checkSignatures(plan)).not.toThrow();
  });

  it.each([
    ['[method]pollable.block', '(param "self" (borrow $p)) (result u32)', /another type/],
    ['[method]pollable.ready', '(param "self" (borrow $p)) (param "x" u32) (result bool)', /another type/],
    ['[method]pollable.constructor', '(param "self" (borrow $p)) (param "x" u32)', /does not have/],
    ['[method]pollable.arm', '(param "self" (borrow $p)) (param "x" u32)', /does not have/],
    ['value-of', '(result u32)', /does not have/],
  ])('%s as it is not is refused', async (name, type, message) => {
    const plan = linkComponent(await wat(poll(name, type)));
    const check = (): void => checkSignatures(plan);
    expect(check).toThrow(LinkRefused);
    expect(check).toThrow(message);
  });
});

describe('what jco gets instead', () => {
  const coreTypes = Buffer.of(3, 4, 1, 0x60, 0, 0);
  const declined = (bytes: Uint8Array): Uint8Array =>
    Buffer.concat([bytes.subarray(0, 8), coreTypes, bytes.subarray(8)]);

  it('has WASI imports too', () => {
    const bytes = declined(guest('hello.wasm'));
    expect(() => linkComponent(bytes)).toThrow(LinkDeclined);
    expect(() => checkHostImports(bytes)).not.toThrow();
  });

  it('is refused where an import is not WASI’s', async () => {
    const type = '(func (param "self" (borrow $p)) (param "x" u32))';
    const bytes = declined(
      await wat(`(component (import "wasi:io/poll@0.2.0" (instance $i
        (export "pollable" (type $p (sub resource)))
        (export "[method]pollable.constructor" ${type}))))`),
    );
    expect(() => checkHostImports(bytes)).toThrow(/does not have/);
  });

  it('is refused where its imports cannot be read', async () => {
    const future = '(type $t (future u8))';
    const bytes = await wat(
      `(component (import "wasi:io/poll@0.2.0" (instance $i ${future} (export "f" (func (param "x" $t))))))`,
    );
    expect(() => checkHostImports(bytes)).toThrow(/cannot be checked/);
  });
});

describe('hostile binaries', () => {
  const only = (error: unknown): boolean =>
    error instanceof DecodeError || error instanceof LinkDeclined || error instanceof LinkRefused;

  it('damaged ones are linked, declined or refused, and nothing else', () => {
    expect.hasAssertions();
    const source = guest('hello.wasm');
    const interesting = fc.oneof(
      fc.nat(source.length - 1),
      fc.integer({ min: source.length - 9000, max: source.length - 1 }),
      fc.nat(3500),
    );
    const damage = fc.array(fc.tuple(interesting, fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(damage, fc.option(fc.nat(), { freq: 5 }), (changes, cut) => {
        const bytes = source.slice(0, cut === null ? source.length : cut % source.length);
        for (const [at, value] of changes) bytes[at] = value;
        const started = performance.now();
        try {
          whole(bytes);
        } catch (error) {
          if (!only(error)) throw error;
        }
        expect(performance.now() - started).toBeLessThan(10_000);
      }),
      { numRuns: 3000 },
    );
  }, 120_000);

  it('types that double themselves are declined', async () => {
    const types = Array.from({ length: 40 }, (_, i) => `(type $t${i + 1} (tuple $t${i} $t${i}))`);
    const bytes = await wat(`(component (type $t0 (tuple u8 u8)) ${types.join(' ')})`);
    expect(() => linkComponent(bytes)).toThrow(LinkDeclined);
  });

  it('types deeper than any are declined', async () => {
    const types = Array.from({ length: 3000 }, (_, i) => `(type $t${i + 1} (list $t${i}))`);
    const bytes = await wat(`(component (type $t0 (list u8)) ${types.join(' ')})`);
    expect(() => linkComponent(bytes)).toThrow(/64 are taken/);
  });

  it('components that double themselves are declined', async () => {
    let text = '(component $c0)';
    for (let i = 1; i <= 25; i++)
      text += `(component $c${i} (alias outer 1 $c${i - 1} (component $p)) (instance (instantiate $p)) (instance (instantiate $p)))`;
    const bytes = await wat(`(component ${text} (instance (instantiate $c25)))`);
    expect(() => linkComponent(bytes)).toThrow(LinkDeclined);
  });
});
