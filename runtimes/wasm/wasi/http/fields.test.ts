import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIELD_ENTRIES_CAP, FIELDS_BYTES_CAP } from '../limits.ts';
import { Resource } from '../resource.ts';
import { GuestTrap } from '../stops.ts';
import { MemoryInvocation } from '../testing/memory-invocation.ts';
import { Fields, FieldStore } from './fields.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const fields = (): Fields => new Fields(new MemoryInvocation().state);

class Parent extends Resource {}

describe('fields', () => {
  it('finds names in any case, keeps the order of values, and gives names in lower case', () => {
    const it = fields();
    it.append('X-A', bytes('1'));
    it.append('x-a', bytes('2'));
    expect(it.get('X-a')).toEqual([bytes('1'), bytes('2')]);
    expect(it.has('X-A')).toBe(true);
    expect(it.has('x-b')).toBe(false);
    it.set('x-A', [bytes('3')]);
    expect(it.entries()).toEqual([['x-a', bytes('3')]]);
    it.delete('X-A');
    expect(it.entries()).toEqual([]);
  });

  it('refuses what is no name, no value, or not a guest’s to set', () => {
    const it = fields();
    for (const name of ['', 'a b', 'a:b', 'é', 'a\r\nb']) {
      expect(it.append(name, bytes('x'))).toEqual({ tag: 'err', val: { tag: 'invalid-syntax' } });
    }
    for (const value of ['a\r\nb: c', '\0', '\u007f']) {
      expect(it.set('a', [bytes(value)])).toEqual({ tag: 'err', val: { tag: 'invalid-syntax' } });
    }
    for (const name of [
      'Host',
      'Connection',
      'Transfer-Encoding',
      'Keep-Alive',
      'Upgrade',
      'HTTP2-Settings',
    ]) {
      expect(it.append(name, bytes('x'))).toEqual({ tag: 'err', val: { tag: 'forbidden' } });
      expect(it.delete(name)).toEqual({ tag: 'err', val: { tag: 'forbidden' } });
    }
    expect(it.append('a', Uint8Array.of(9, 32, 200, 255))).toEqual({ tag: 'ok', val: undefined });
    expect(it.entries()).toHaveLength(1);
  });

  it('makes all of a list or nothing', () => {
    const { state } = new MemoryInvocation();
    const made = Fields.fromList(state, [
      ['A', bytes('1')],
      ['b', bytes('2')],
    ]);
    if (made.tag !== 'ok') throw new Error('expected fields');
    expect(made.val.entries()).toEqual([
      ['a', bytes('1')],
      ['b', bytes('2')],
    ]);
    const refused = Fields.fromList(state, [
      ['a', bytes('1')],
      ['host', bytes('2')],
    ]);
    expect(refused).toEqual({ tag: 'err', val: { tag: 'forbidden' } });
    expect(state.live('fields')).toBe(1);
  });

  it('does not change what is immutable; a clone of it can be', () => {
    const { state } = new MemoryInvocation();
    const store = FieldStore.received(state, [
      ['Content-Type', 'text/plain'],
      ['Host', 'example.test'],
      ['X-Bytes', '\u00ff'],
    ]);
    const parent = new Parent(state, 'network');
    const received = new Fields(state, { store, immutable: true, parent });
    expect(received.get('host')).toEqual([]);
    expect(received.get('x-bytes')).toEqual([Buffer.of(255)]);
    for (const change of [
      received.set('a', []),
      received.append('a', bytes('1')),
      received.delete('content-type'),
    ]) {
      expect(change).toEqual({ tag: 'err', val: { tag: 'immutable' } });
    }
    const clone = received.clone();
    expect(clone.delete('content-type').tag).toBe('ok');
    expect(received.has('content-type')).toBe(true);
    expect(() => parent[Symbol.dispose]()).toThrow(GuestTrap);
  });

  it('traps on too many fields and on too many bytes, of one message and of all together', () => {
    const many = fields();
    for (let count = 0; count < FIELD_ENTRIES_CAP; count += 1) many.append(`a${count}`, bytes(''));
    expect(() => many.append('one-more', bytes(''))).toThrow(/1024 header fields/);
    expect(() => fields().append('a', new Uint8Array(FIELDS_BYTES_CAP).fill(97))).toThrow(
      /bytes of header fields/,
    );
    const { state } = new MemoryInvocation();
    expect(() => {
      for (;;) new Fields(state).append('a', new Uint8Array(FIELDS_BYTES_CAP - 1).fill(97));
    }).toThrow(/together/);
  });

  it('gives the bytes of dropped and replaced fields back', () => {
    const { state } = new MemoryInvocation();
    for (let round = 0; round < 100; round += 1) {
      const it = new Fields(state);
      it.append('a', new Uint8Array(100_000).fill(97));
      it.set('a', [new Uint8Array(100_000).fill(98)]);
      it[Symbol.dispose]();
    }
    expect(state.live('fields')).toBe(0);
  });

  it('keeps every header list that HTTP can carry as it was', () => {
    const name = fc.stringMatching(/^[a-z0-9!#$%&'*+.^_`|~-]{1,20}$/).map((text) => `x-${text}`);
    const value = fc
      .uint8Array({ maxLength: 40 })
      .map((raw) => raw.map((byte) => (byte < 32 || byte === 127 ? 9 : byte)));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 20 }), (list) => {
        const { state } = new MemoryInvocation();
        const made = Fields.fromList(state, list);
        if (made.tag !== 'ok') throw new Error(`refused: ${made.val.tag}`);
        const again = FieldStore.received(state, made.val.give().toHeaderList());
        expect(again.entries.map(([key, raw]) => [key, [...raw]])).toEqual(
          list.map(([key, raw]) => [key, [...raw]]),
        );
      }),
    );
  });

  it('never lets a line break or a zero through, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array({ maxLength: 20 }), (name, value) => {
        const it = fields();
        if (it.append(name, value).tag === 'err') return;
        expect(name).toMatch(/^[!-~]+$/);
        expect([...value].some((byte) => byte === 10 || byte === 13 || byte === 0)).toBe(false);
      }),
    );
  });
});

describe('Content-Length', () => {
  const lengthOf = (...values: string[]): number | null | undefined => {
    const it = fields();
    for (const value of values) it.append('content-length', bytes(value));
    return it.give().contentLength();
  };

  it('is one number, however often it is repeated', () => {
    expect(lengthOf()).toBe(null);
    expect(lengthOf('12')).toBe(12);
    expect(lengthOf('12', '12')).toBe(12);
    expect([
      lengthOf('12', '13'),
      lengthOf('-1'),
      lengthOf('1.5'),
      lengthOf('9'.repeat(20)),
      lengthOf(''),
    ]).toEqual(Array.from({ length: 5 }));
  });
});
