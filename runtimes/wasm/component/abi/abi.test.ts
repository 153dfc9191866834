import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GuestTrap } from '../../wasi/index.ts';
import type { ValueType } from '../types.ts';
import { flatten, layoutOf } from './layout.ts';
import { gives, takes, TestGuest } from '../testing/test-guest.ts';

const U8: ValueType = { kind: 'u8' };
const U32: ValueType = { kind: 'u32' };
const U64: ValueType = { kind: 'u64' };
const F32: ValueType = { kind: 'f32' };
const STRING: ValueType = { kind: 'string' };
const THING: ValueType = { kind: 'own', resource: 0 };
const LENT: ValueType = { kind: 'borrow', resource: 0 };
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `n${i}`);
const record = (...types: ValueType[]): ValueType => ({
  kind: 'record',
  fields: types.map((type, i) => ({ name: `f${i}`, type })),
});
const variant = (...types: (ValueType | null)[]): ValueType => ({
  kind: 'variant',
  cases: types.map((type, i) => ({ name: `c${i}`, type })),
});

describe('layout', () => {
  it.each<[string, ValueType, number, number, string]>([
    ['bool', { kind: 'bool' }, 1, 1, 'i32'],
    ['s16', { kind: 's16' }, 2, 2, 'i32'],
    ['u64', U64, 8, 8, 'i64'],
    ['char', { kind: 'char' }, 4, 4, 'i32'],
    ['string', STRING, 8, 4, 'i32 i32'],
    ['list<u64>', { kind: 'list', element: U64 }, 8, 4, 'i32 i32'],
    ['own', THING, 4, 4, 'i32'],
    ['record{u8,u32}', record(U8, U32), 8, 4, 'i32 i32'],
    ['record{u32,u8}', record(U32, U8), 8, 4, 'i32 i32'],
    ['record{u8,u64,u8}', record(U8, U64, U8), 24, 8, 'i32 i64 i32'],
    ['tuple<u8,u8,u8>', { kind: 'tuple', items: [U8, U8, U8] }, 3, 1, 'i32 i32 i32'],
    ['enum of 256', { kind: 'enum', names: names(256) }, 1, 1, 'i32'],
    ['enum of 257', { kind: 'enum', names: names(257) }, 2, 2, 'i32'],
    ['flags of 8', { kind: 'flags', names: names(8) }, 1, 1, 'i32'],
    ['flags of 9', { kind: 'flags', names: names(9) }, 2, 2, 'i32'],
    ['flags of 17', { kind: 'flags', names: names(17) }, 4, 4, 'i32'],
    ['flags of 33', { kind: 'flags', names: names(33) }, 8, 4, 'i32 i32'],
    ['option<u8>', { kind: 'option', some: U8 }, 2, 1, 'i32 i32'],
    ['option<u64>', { kind: 'option', some: U64 }, 16, 8, 'i32 i64'],
    ['result<_, _>', { kind: 'result', ok: null, error: null }, 1, 1, 'i32'],
    ['result<string, u64>', { kind: 'result', ok: STRING, error: U64 }, 16, 8, 'i32 i64 i32'],
    ['variant{f32,u32}', variant(F32, U32), 8, 4, 'i32 i32'],
    ['variant{f32,f32}', variant(F32, F32), 8, 4, 'i32 f32'],
    ['variant{f64,u32}', variant({ kind: 'f64' }, U32), 16, 8, 'i32 i64'],
    ['variant{_,tuple<u8,u64>}', variant(null, { kind: 'tuple', items: [U8, U64] }), 24, 8, 'i32 i32 i64'],
  ])('%s', (_, type, size, align, flat) => {
    expect(layoutOf(type)).toEqual({ size, align });
    expect(flatten(type).join(' ')).toBe(flat);
  });
});

/** A random type and a value of it, as the host has it. */
interface Sample {
  readonly type: ValueType;
  readonly value: fc.Arbitrary<unknown>;
}

const whole = (kind: 'u8' | 's8' | 'u16' | 's16' | 'u32' | 's32', bits: number): Sample => {
  const unsigned = kind.startsWith('u');
  return {
    type: { kind },
    value: fc.integer({ min: unsigned ? 0 : -(2 ** (bits - 1)), max: 2 ** (unsigned ? bits : bits - 1) - 1 }),
  };
};

const things = [{ thing: 1 }, { thing: 2 }, { thing: 3 }];

const leaf: fc.Arbitrary<Sample> = fc.constantFrom<Sample>(
  { type: { kind: 'bool' }, value: fc.boolean() },
  whole('u8', 8),
  whole('s8', 8),
  whole('u16', 16),
  whole('s16', 16),
  whole('u32', 32),
  whole('s32', 32),
  { type: U64, value: fc.bigInt(0n, 2n ** 64n - 1n) },
  { type: { kind: 's64' }, value: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) },
  { type: F32, value: fc.float({ noNaN: true }) },
  { type: { kind: 'f64' }, value: fc.double({ noNaN: true }) },
  { type: { kind: 'char' }, value: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
  { type: STRING, value: fc.string({ unit: 'binary', maxLength: 60 }) },
  { type: THING, value: fc.constantFrom(...things) },
  { type: { kind: 'list', element: U8 }, value: fc.uint8Array({ maxLength: 40 }) },
  { type: { kind: 'enum', names: names(300) }, value: fc.constantFrom(...names(300)) },
  ...[3, 12, 30, 70].map((count) => ({
    type: { kind: 'flags', names: names(count) } as const,
    value: fc.record(Object.fromEntries(names(count).map((name) => [name, fc.boolean()]))),
  })),
);

const sample: fc.Memo<Sample> = fc.memo((depth) => {
  if (depth <= 1) return leaf;
  const inner = sample(depth - 1);
  const parts = fc.array(inner, { minLength: 1, maxLength: 4 });
  return fc.oneof(
    leaf,
    inner.map(({ type, value }): Sample => ({
      type: { kind: 'list', element: type },
      value: type.kind === 'u8' ? fc.uint8Array({ maxLength: 5 }) : fc.array(value, { maxLength: 5 }),
    })),
    inner.map(({ type, value }): Sample => ({
      type: { kind: 'option', some: type },
      value: fc.option(type.kind === 'option' ? value.map((val) => ({ tag: 'some', val })) : value, {
        nil: undefined,
      }),
    })),
    parts.map((items): Sample => ({
      type: record(...items.map((item) => item.type)),
      value: fc.record(Object.fromEntries(items.map((item, i) => [`f${i}`, item.value]))),
    })),
    parts.map((items): Sample => ({
      type: { kind: 'tuple', items: items.map((item) => item.type) },
      value: fc.tuple(...items.map((item) => item.value)),
    })),
    parts.map((items): Sample => ({
      type: variant(null, ...items.map((item) => item.type)),
      value: fc.oneof(
        fc.constant({ tag: 'c0', val: undefined }),
        ...items.map((item, i) => item.value.map((val) => ({ tag: `c${i + 1}`, val }))),
      ),
    })),
    fc.tuple(inner, inner).map(([a, b]): Sample => ({
      type: { kind: 'result', ok: a.type, error: b.type },
      value: fc.oneof(
        a.value.map((val) => ({ tag: 'ok', val })),
        b.value.map((val) => ({ tag: 'err', val })),
      ),
    })),
  );
});

describe('what the host hands over and takes back', () => {
  it.each(['utf8', 'utf16'] as const)(
    'is the same, with strings in %s',
    (encoding) => {
      expect.hasAssertions();
      const cases = sample(4).chain(({ type, value }) =>
        fc.tuple(fc.constant(type), fc.array(value, { maxLength: 4 })),
      );
      fc.assert(
        fc.property(cases, ([element, drawn]) => {
          const type: ValueType = { kind: 'list', element };
          const values = element.kind === 'u8' ? Uint8Array.from(drawn as number[]) : drawn;
          const guest = new TestGuest();
          guest.import(gives(type), () => values, encoding)(16);
          const view = new DataView(guest.memory?.buffer ?? new ArrayBuffer(0));
          let taken: unknown;
          const take = guest.import(takes(type), (list: unknown) => (taken = list), encoding);
          take(view.getInt32(16, true), view.getInt32(20, true));
          expect(taken).toEqual(values);
        }),
        { numRuns: 1500 },
      );
    },
    60_000,
  );

  it.each<[string, ValueType, unknown[], unknown]>([
    ['a float in an i32 slot', variant(F32, U32), [0, 0x3fc00000], { tag: 'c0', val: 1.5 }],
    ['a float in an i64 slot', variant(F32, U64), [0, 0x3fc00000n], { tag: 'c0', val: 1.5 }],
    [
      'a double in an i64 slot',
      variant({ kind: 'f64' }, U64),
      [0, 0x3ff8000000000000n],
      { tag: 'c0', val: 1.5 },
    ],
    ['an i32 in an i64 slot', variant(U32, U64), [0, 0xff_ffff_fffen], { tag: 'c0', val: 0xffff_fffe }],
    ['bits beyond a u8', U8, [0x1ff], 0xff],
    ['bits beyond an s8', { kind: 's8' }, [0x180], -128],
    ['any number as a bool', { kind: 'bool' }, [7], true],
    ['bits beyond the flags', { kind: 'flags', names: ['a', 'b'] }, [0xfe], { a: false, b: true }],
    ['an empty option', { kind: 'option', some: U8 }, [0, 0], undefined],
  ])('flat: %s', (_, type, slots, expected) => {
    let taken: unknown;
    new TestGuest().import(takes(type), (value: unknown) => (taken = value))(...slots);
    expect(taken).toEqual(expected);
  });

  it('more than sixteen values go through memory', () => {
    const guest = new TestGuest();
    let taken: unknown[] = [];
    const call = guest.import(
      takes(...Array.from({ length: 17 }, () => U32)),
      (...values: unknown[]) => (taken = values),
    );
    for (let i = 0; i < 17; i++) guest.dv.setUint32(64 + i * 4, i * 3, true);
    call(64);
    expect(taken).toEqual(Array.from({ length: 17 }, (_, i) => i * 3));
    expect(() => call(65_536 - 60)).toThrow(/outside of memory/);
    const other = new TestGuest().import(takes(...Array.from({ length: 17 }, () => U32)), () => undefined);
    expect(() => other(65)).toThrow(/aligned/);
  });
});

describe('a hostile guest traps', () => {
  const nothing = (): undefined => undefined;
  it.each<[string, ValueType[], unknown[], RegExp]>([
    ['a string past the end', [STRING], [65_530, 7], /outside of memory/],
    ['a string longer than memory', [STRING], [0, -1], /outside of memory/],
    ['a string at an address past 2 GiB', [STRING], [-8, 4], /outside of memory/],
    ['a string that is not UTF-8', [STRING], [0, 3], /UTF-8/],
    ['bytes past the end', [{ kind: 'list', element: U8 }], [1, 65_536], /outside of memory/],
    [
      'a list whose length overflows',
      [{ kind: 'list', element: U64 }],
      [0, 0x2000_0000],
      /outside of memory/,
    ],
    ['a list off its alignment', [{ kind: 'list', element: U64 }], [4, 1], /aligned to 8/],
    ['an empty list off its alignment', [{ kind: 'list', element: U64 }], [4, 0], /aligned to 8/],
    ['a discriminant too high', [{ kind: 'enum', names: ['a', 'b'] }], [2], /2 is not a case/],
    ['a negative discriminant', [variant(null, U8)], [-1, 0], /-1 is not a case/],
    ['a surrogate', [{ kind: 'char' }], [0xd800], /not a character/],
    ['a char too high', [{ kind: 'char' }], [0x11_0000], /not a character/],
    ['a handle that was never given', [THING], [1], /not a handle/],
    ['handle 0', [THING], [0], /not a handle/],
    ['a negative handle', [LENT], [-1], /not a handle/],
    ['a handle of another kind', [{ kind: 'own', resource: 1 }], [1], /not a handle of that kind/],
  ])('%s', (name, types, args, message) => {
    const guest = new TestGuest();
    guest.u8.set([0xc3, 0x28, 0x41]);
    if (name.endsWith('another kind')) guest.add(0, {});
    const call = guest.import(takes(...types), nothing);
    const run = (): unknown => call(...args);
    expect(run).toThrow(GuestTrap);
    expect(guest.killed).toBe(1);
    // It may catch that; the next call ends it again, with the same reason.
    expect(run).toThrow(message);
    expect(guest.killed).toBe(2);
  });

  it('results go only where memory is', () => {
    for (const [at, message] of [
      [65_534, /aligned/],
      [65_536, /outside/],
      [-4, /outside/],
    ] as const) {
      const guest = new TestGuest();
      let called = false;
      const call = guest.import(gives(STRING), () => ((called = true), 'x'));
      expect(() => call(at)).toThrow(message);
      expect(called).toBe(false);
    }
  });

  it.each([
    ['off its alignment', 4098, /aligned to 4/],
    ['past the end', 65_536, /outside of memory/],
    ['negative', -4, /outside of memory/],
  ])('an allocator that answers %s', (_, pointer, message) => {
    const guest = new TestGuest();
    guest.allocator = () => pointer;
    const call = guest.import(gives({ kind: 'list', element: U32 }), () => [1, 2]);
    expect(() => call(0)).toThrow(message);
  });

  it('an allocator that calls the host', () => {
    const guest = new TestGuest();
    let inner = 0;
    const other = guest.import(takes(), () => inner++);
    guest.allocator = () => {
      other();
      return 4096;
    };
    guest.imports['test:test/test'] = {};
    const call = guest.import(gives(STRING), () => 'text');
    expect(() => call(0)).toThrow(/within an allocation/);
    expect(inner).toBe(0);
  });

  it('a list that names one large string many times', () => {
    const guest = new TestGuest();
    guest.memory?.grow(200);
    guest.refresh();
    for (let i = 0; i < 1000; i++) {
      guest.dv.setInt32(i * 8, 65_536, true);
      guest.dv.setInt32(i * 8 + 4, 10_000_000, true);
    }
    const call = guest.import(takes({ kind: 'list', element: STRING }), nothing);
    expect(() => call(0, 1000)).toThrow(/more than one call may hand over/);
  });
});

describe('a host that answers with the wrong thing', () => {
  it.each<[string, ValueType, unknown]>([
    ['nothing for a record', record(U8, U8), undefined],
    ['nothing for a resource', THING, undefined],
    ['a case that is not there', { kind: 'enum', names: ['a'] }, 'b'],
    ['a number for a list', { kind: 'list', element: U32 }, 5],
    ['nothing for a bigint', U64, undefined],
  ])('%s ends the guest', (_, type, value) => {
    const guest = new TestGuest();
    const call = guest.import(gives(type), () => value);
    expect(() => call(0)).toThrow(/host|undefined|convert/i);
    expect(guest.killed).toBe(1);
    expect(guest.stopped).not.toBeNull();
  });
});

describe('handles', () => {
  it('are numbers of one table, from 1, and used again', () => {
    const guest = new TestGuest();
    const [a, b, c] = [{}, {}, {}];
    expect([guest.add(0, a), guest.add(1, b)]).toEqual([1, 2]);
    expect(guest.borrow(0, 1)).toBe(a);
    expect(guest.remove(1, 2)).toBe(b);
    expect(() => guest.remove(1, 2)).toThrow(GuestTrap);
    expect(guest.add(0, c)).toBe(2);
    guest.clear();
    expect(() => guest.borrow(0, 1)).toThrow(GuestTrap);
    expect(guest.add(0, a)).toBe(1);
  });

  it('that a call borrows it cannot give away as well', () => {
    const guest = new TestGuest();
    const [one, two] = [guest.add(0, {}), guest.add(0, {})];
    const call = guest.import(takes(LENT, THING), () => undefined);
    expect(() => call(one, two)).not.toThrow();
    const three = guest.add(0, {});
    // The first call is over: what it lent may be given away now.
    expect(() => call(three, one)).not.toThrow();
    expect(() => call(three, three)).toThrow(/lent to the same call/);
  });

  it('are dropped once', () => {
    const guest = new TestGuest();
    let disposed = 0;
    const handle = guest.add(0, { [Symbol.dispose]: () => disposed++ });
    const drop = guest.importDrop();
    drop(handle);
    expect(disposed).toBe(1);
    expect(() => drop(handle)).toThrow(GuestTrap);
    expect(disposed).toBe(1);
  });
});

describe('writes of the host', () => {
  it.each([
    ['within the window', 1000, 2000, false],
    ['below it', 17, 2000, true],
    ['above it', 1000, 1005, true],
  ])('%s are told to the reset as they are', (_, from, to, told) => {
    const guest = new TestGuest();
    guest.resetFrom = from;
    guest.resetTo = to;
    guest.import(gives(record(U32, U32)), () => ({ f0: 1, f1: 2 }))(told && from === 17 ? 16 : 1000);
    expect(guest.wroteOutside).toBe(told);
  });

  it('into allocated memory too', () => {
    const guest = new TestGuest();
    guest.resetFrom = 0;
    guest.resetTo = 4096;
    guest.import(gives(STRING), () => 'text')(0);
    expect(guest.wroteOutside).toBe(true);
  });
});
