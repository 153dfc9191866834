import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { StreamedBody } from './local-call.worker.ts';

/** Writes single bytes until the body wants none for now; how many, and the body's wait. */
async function fill(body: StreamedBody): Promise<{ count: number; room: Promise<void> }> {
  for (let count = 1; ; count++) {
    const room = body.add(Buffer.from([count]));
    if (room) return { count, room };
    // Also where the guest gives the thread's other events their turn in between.
    if (count % 100 === 0) await turn();
    if (count > 10_000) throw new Error('small chunks without end');
  }
}

it('only so many small chunks wait for a slow reader, and all of them come', async () => {
  const body = new StreamedBody(() => undefined);
  let written = 0;
  let read = 0;
  for (let round = 0; round < 5; round++) {
    const { count, room } = await fill(body);
    written += count;
    let free = false;
    void room.then(() => (free = true));
    await turn();
    expect([free, count]).toEqual([false, 512]);
    while (body.readableLength > 0) read += (body.read() as Buffer).byteLength;
    await room;
  }
  expect(read).toBe(written);
});

it('a reader that keeps up is sent each as it comes, and the end', async () => {
  const body = new StreamedBody(() => undefined);
  const reading = (async () => {
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) bytes += chunk.byteLength;
    return bytes;
  })();
  for (let i = 0; i < 5000; i++) await body.add(Buffer.from([i]));
  body.push(null);
  expect(await reading).toBe(5000);
});

it('one that pauses and flows on gets everything', async () => {
  const body = new StreamedBody(() => undefined);
  let bytes = 0;
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes % 1000 !== 0) return;
    body.pause();
    setTimeout(() => body.resume(), 1);
  });
  const ended = new Promise((resolve) => body.once('end', resolve));
  for (let i = 0; i < 5000; i++) await body.add(i % 500 === 0 ? Buffer.alloc(1000) : Buffer.from([i]));
  body.push(null);
  await ended;
  expect(bytes).toBe(4990 + 10 * 1000);
});

it('whoever waits goes on when the body is destroyed', async () => {
  const body = new StreamedBody(() => undefined);
  const { room } = await fill(body);
  body.destroy();
  await room;
  expect(body.add(Buffer.from('x'))).toBeUndefined();
});
