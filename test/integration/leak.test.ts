/** The process holds no more after 100,000 requests than after 10,000, whatever became of them. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { load, type Target } from '../../src/bench/load/index.ts';
import { collectEverywhere, INSPECTED } from './support/collect.ts';
import { deployGuest } from './support/deploy.ts';
import { type Platform, startPlatform } from './support/platform.ts';

const EARLY = 10_000;
const LATE = 100_000;

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform({ env: INSPECTED });
  for (const name of ['torture', 'cgi', 'hello']) await deployGuest(platform, name);
});
afterAll(() => platform.stop('SIGKILL'));

/** Resident memory in MiB, after a collection. */
async function residentMib(): Promise<number> {
  await collectEverywhere(platform.log());
  const status = await readFile(`/proc/${platform.process.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

test('100,000 requests leave no more behind than 10,000', { timeout: 600_000 }, async () => {
  const at = (path: string, more: Partial<Target> = {}): Target => ({
    url: platform.router + path,
    method: 'GET',
    bodyBytes: 0,
    ...more,
  });
  // Each connection keeps to one of them: most requests are for the quick ones.
  const targets = [
    ...Array.from({ length: 12 }, () => at('/hello/')),
    at('/hello/', { headers: { 'x-fissium-receipt': '1' } }),
    at('/torture/counter'),
    at('/torture/random'),
    at('/torture/echo', { method: 'POST', bodyBytes: 20_000 }),
    at('/torture/many-headers?count=20'),
    at('/torture/trailers'),
    at('/torture/sleep?ms=1'),
    at('/torture/big?bytes=100000'),
    at('/torture/outbound?url=http://127.0.0.1:1/'),
    at('/torture/trap'),
    at('/torture/exit?code=1'),
    at('/cgi/hello'),
    at('/nowhere'),
  ];
  let requests = 0;
  const until = async (count: number): Promise<number> => {
    while (requests < count) {
      const job = { mode: 'closed', targets, connections: targets.length, warmUpMs: 0 } as const;
      const result = await load({ ...job, durationMs: 2000 });
      requests += Object.values(result.errors).reduce((sum, failed) => sum + failed, result.requests);
      expect(Object.keys(result.errors).toSorted()).toEqual(['404', '502']);
    }
    return residentMib();
  };
  const early = await until(EARLY);
  const late = await until(LATE);
  expect(late, `${early} MiB before, ${requests} requests`).toBeLessThanOrEqual(1.1 * early);
});
