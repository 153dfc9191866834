import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { answer, describing, startRouter, type Harness } from './testing/harness.ts';

let harness: Harness;
beforeEach(async () => {
  harness = await startRouter();
});
afterEach(async () => {
  await harness.close();
});

const MIB = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

it('answers 500 connections at once', async () => {
  harness.deploy('f', describing, { limits: { concurrency: 50 } });
  const asked = Array.from({ length: 500 }, async (_, index) => harness.ask(`/f?${index}`));
  const answers = await Promise.all(asked);
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  expect(new Set(answers.map((got) => got.json<{ pathWithQuery: string }>().pathWithQuery)).size).toBe(500);
  expect(harness.router.services.admission.requests).toBe(0);
}, 30_000);

it('moves 100 MB through a function, both ways, without holding it', async () => {
  harness.deploy('f', ({ body }) => answer({ body: body ?? '' }), { route: { methods: ['POST'] } });
  const chunk = Buffer.alloc(MIB, 7);
  let left = 100;
  const source = new Readable({
    highWaterMark: MIB,
    read() {
      left -= 1;
      this.push(left < 0 ? null : chunk);
    },
  });
  const used = (): number => {
    collectGarbage();
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    return arrayBuffers + heapUsed;
  };
  const before = used();
  const req = httpRequest({
    host: '127.0.0.1',
    port: harness.port,
    path: '/f',
    method: 'POST',
    agent: false,
  });
  source.pipe(req);
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  let bytes = 0;
  let most = 0;
  for await (const part of res) {
    const step = Math.floor(bytes / (10 * MIB));
    bytes += (part as Buffer).length;
    if (Math.floor(bytes / (10 * MIB)) > step) most = Math.max(most, used() - before);
  }
  expect(bytes).toBe(100 * MIB);
  // The client's side is in this process as well.
  expect(most).toBeLessThan(50 * MIB);
}, 30_000);
