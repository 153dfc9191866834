import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UpgradedStream } from './upgraded-stream.ts';

const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

function frame(payload: Uint8Array, masked: boolean): Buffer {
  const { length } = payload;
  const head: number[] = [0x82];
  const mask = masked ? 0x80 : 0;
  if (length < 126) head.push(mask | length);
  else if (length < 65_536) head.push(mask | 126, length >> 8, length & 255);
  else
    head.push(
      mask | 127,
      0,
      0,
      0,
      0,
      (length >> 24) & 255,
      (length >> 16) & 255,
      (length >> 8) & 255,
      length & 255,
    );
  return Buffer.concat([Buffer.from(head), masked ? Buffer.alloc(4, 7) : Buffer.alloc(0), payload]);
}

const sizes = fc.oneof(fc.nat(130), fc.constantFrom(125, 126, 127, 65_535, 65_536, 70_000));

describe('UpgradedStream', () => {
  it('passes everything on, however it is cut, and says goodbye where a frame ends', async () => {
    const frames = fc.array(fc.tuple(sizes, fc.boolean()), { minLength: 1, maxLength: 6 });
    const cuts = fc.array(fc.nat(1000), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(frames, cuts, fc.nat(20), async (shapes, cutAt, leaveAfter) => {
        const all = shapes.map(([size, masked]) => frame(Buffer.alloc(size, 1), masked));
        const whole = Buffer.concat(all);
        const stream = new UpgradedStream('WebSocket');
        const received = buffer(stream);
        let at = 0;
        let chunks = 0;
        for (const cut of [...cutAt.toSorted((a, b) => a - b), 1000]) {
          const end = Math.floor((whole.length * cut) / 1000);
          if (chunks++ === leaveAfter) stream.goAway();
          stream.write(whole.subarray(at, end));
          at = end;
        }
        const left = chunks > leaveAfter;
        stream.end();
        const got = await received;
        expect(left ? got.subarray(-4) : GOING_AWAY).toEqual(GOING_AWAY);
        const before = left ? got.subarray(0, -4) : got;
        expect(left || got.equals(whole)).toBe(true);
        expect(before.equals(whole.subarray(0, before.length))).toBe(true);
        const ends = all.map((_, index) => Buffer.concat(all.slice(0, index + 1)).length);
        expect([0, ...ends]).toContain(before.length);
      }),
      { numRuns: 200 },
    );
  });

  it('just ends a protocol that it does not know', async () => {
    const stream = new UpgradedStream('other');
    const received = buffer(stream);
    stream.write('abc');
    stream.goAway();
    stream.write('def');
    expect(String(await received)).toBe('abc');
  });
});
