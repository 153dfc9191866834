/** Large bodies through guests: every byte, in memory that does not depend on their length. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deployGuest } from './support/deploy.ts';
import { type Platform, startPlatform } from './support/platform.ts';

const MIB = 1024 * 1024;
const SIZE = 100 * MIB;
/** What a body may hold in the process: buffers of both directions, and what V8 has not collected yet. */
const HELD_MIB = 96;

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
  await deployGuest(platform, 'torture');
});
afterAll(() => platform.stop('SIGKILL'));

async function residentMib(): Promise<number> {
  const status = await readFile(`/proc/${platform.process.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

/** Bytes of which no two parts are alike, without end. */
const material = randomBytes(4 * MIB + 13);

/** Sends as fast as it is taken; resolves with the digest of all of it. */
async function send(req: ClientRequest, size: number, counted: { bytes: number }): Promise<string> {
  const hash = createHash('sha256');
  let at = 0;
  while (counted.bytes < size) {
    const part = material.subarray(at, Math.min(at + 50_021, at + size - counted.bytes));
    at = (at + part.length) % material.length;
    counted.bytes += part.length;
    hash.update(part);
    if (!req.write(part)) await once(req, 'drain');
  }
  req.end();
  return hash.digest('hex');
}

function post(path: string, headers: Record<string, string> = {}): ClientRequest {
  return request(platform.router + path, { method: 'POST', agent: false, headers });
}

async function digest(res: IncomingMessage): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of res) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function echoed(path: string, headers: Record<string, string>): Promise<boolean> {
  const req = post(path, headers);
  const sent = send(req, SIZE, { bytes: 0 });
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  return (await digest(res)) === (await sent);
}

describe('100 MiB', { timeout: 180_000 }, () => {
  test.for([
    ['chunked', {}],
    ['with a Content-Length', { 'content-length': String(SIZE) }],
  ] as const)('go both ways at once, %s', async ([, headers]) => {
    await echoed('/torture/echo', headers);
    const before = await residentMib();
    let most = before;
    const watch = setInterval(() => void residentMib().then((now) => (most = Math.max(most, now))), 50);
    const all = await Promise.all(
      ['/torture/echo', '/torture/echo', '/torture/echo-splice'].map((path) => echoed(path, headers)),
    );
    clearInterval(watch);
    expect(all).toEqual([true, true, true]);
    expect(most - before).toBeLessThan(HELD_MIB);
  });

  test('wait for a client that does not read, and all of them come', async () => {
    const req = post('/torture/echo', { 'content-length': String(SIZE) });
    const counted = { bytes: 0 };
    const sent = send(req, SIZE, counted);
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    // Nobody reads the answer: then the guest is not read from, nor the client.
    let before = -1;
    await expect
      .poll(
        () => {
          const still = counted.bytes === before;
          before = counted.bytes;
          return still;
        },
        { interval: 300, timeout: 30_000 },
      )
      .toBe(true);
    // What the kernel's buffers of two connections hold, and a window of ours.
    expect(counted.bytes).toBeLessThan(30 * MIB);
    expect(await digest(res)).toBe(await sent);
  });
});
