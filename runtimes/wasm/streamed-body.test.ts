import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { chunkPool, SLAB_BYTES } from './chunk-pool.ts';
import { StreamedBody } from './streamed-body.ts';

/** Writes single bytes, each in a turn of its own, until the body wants none for now; how many, and the body's wait. */
async function fill(body: StreamedBody): Promise<{ count: number; room: Promise<void> }> {
  for (let count = 1; ; count++) {
    const room = body.add(Buffer.from([count]));
    if (room) return { count, room };
    await turn();
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
    expect([free, count]).toEqual([false, 513]);
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
  body.finish();
  expect(await reading).toBe(5000);
});

it('one that pauses and flows on gets everything', async () => {
  const body = new StreamedBody(() => undefined);
  let bytes = 0;
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength;
    body.pause();
    setTimeout(() => body.resume(), 1);
  });
  const ended = new Promise((resolve) => body.once('end', resolve));
  for (let i = 0; i < 5000; i++) {
    await body.add(i % 500 === 0 ? Buffer.alloc(1000) : Buffer.from([i]));
    if (i % 50 === 0) await turn();
  }
  body.finish();
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

it('what is written in one turn goes on together, in whole buffers', async () => {
  const body = new StreamedBody(() => undefined);
  const sizes: number[] = [];
  body.on('data', (chunk: Buffer) => sizes.push(chunk.byteLength));
  for (let i = 0; i < 40; i++) void body.add(Buffer.alloc(4096, i));
  await turn();
  expect(sizes).toEqual([SLAB_BYTES, SLAB_BYTES, 8 * 4096]);
  void body.add(Buffer.alloc(2 * SLAB_BYTES + 1));
  expect(sizes.slice(3)).toEqual([SLAB_BYTES, SLAB_BYTES]);
  body.finish();
  await new Promise((resolve) => body.once('end', resolve));
  expect(sizes.slice(5)).toEqual([1]);
});

it('a buffer that its reader gave back is used again, and none before', async () => {
  const body = new StreamedBody(() => undefined);
  const chunks: Buffer[] = [];
  body.on('data', (chunk: Buffer) => chunks.push(chunk));
  await turn();
  void body.add(Buffer.alloc(SLAB_BYTES, 'a'));
  void body.add(Buffer.alloc(SLAB_BYTES, 'b'));
  const [first, second] = chunks;
  if (!first || !second) throw new Error('no chunks');
  chunkPool.give(first);
  void body.add(Buffer.alloc(SLAB_BYTES, 'c'));
  expect(chunks[2]?.buffer).toBe(first.buffer);
  expect([first.toString('latin1', 0, 1), second.toString('latin1', 0, 1)]).toEqual(['c', 'b']);
});
