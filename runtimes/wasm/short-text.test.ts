import { expect, it } from 'vitest';
import { SHORT_BYTES, shortAscii } from './short-text.ts';

it('gives the text of the bytes, said before or not, whatever else was said', () => {
  const texts = Array.from({ length: 5000 }, (_, i) => `x-${(i * 7919) % 4001}`.padEnd(i % SHORT_BYTES, '-'));
  for (const text of [...texts, ...texts]) {
    const bytes = Buffer.from(`before${text}after`);
    expect(shortAscii(bytes, 6, 6 + text.length)).toBe(text);
  }
  expect(shortAscii(new Uint8Array(0), 0, 0)).toBe('');
});

it('keeps nothing of the bytes: they may be a view of a guest’s memory', () => {
  const bytes = Buffer.from('content-type');
  const text = shortAscii(bytes, 0, bytes.length);
  bytes.fill('z');
  expect(text).toBe('content-type');
  expect(shortAscii(bytes, 0, bytes.length)).toBe('zzzzzzzzzzzz');
});

it('leaves to others what is long, or not ASCII', () => {
  expect(shortAscii(Buffer.from('é'), 0, 2)).toBeNull();
  expect(shortAscii(Buffer.alloc(SHORT_BYTES + 1, 'a'), 0, SHORT_BYTES + 1)).toBeNull();
  expect(shortAscii(Buffer.alloc(SHORT_BYTES, 'a'), 0, SHORT_BYTES)).toBe('a'.repeat(SHORT_BYTES));
});
