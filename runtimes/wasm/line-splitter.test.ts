import { expect, test } from 'vitest';
import { LineSplitter } from './line-splitter.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('lines come out once they are complete, whatever the chunks', () => {
  const splitter = new LineSplitter();
  expect(splitter.push(bytes('one\ntw'))).toEqual(['one']);
  expect(splitter.push(bytes('o\r\n\nthr'))).toEqual(['two', '']);
  expect(splitter.flush()).toEqual(['thr']);
  expect(splitter.flush()).toEqual([]);
});

test('a character that is split between chunks stays whole', () => {
  const splitter = new LineSplitter();
  const [first, ...rest] = bytes('é\n');
  expect(splitter.push(Uint8Array.of(first ?? 0))).toEqual([]);
  expect(splitter.push(Uint8Array.from(rest))).toEqual(['é']);
});

test('a line without end is cut, so that it never grows in memory', () => {
  const splitter = new LineSplitter();
  const lines = splitter.push(new Uint8Array(40 * 1024).fill(97));
  expect(lines.map((line) => line.length)).toEqual([16 * 1024, 16 * 1024]);
  expect(splitter.flush()[0]?.length).toBe(8 * 1024);
});
