/** The platform in a container's share of memory, with guests that want all of it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hoarder } from '../../runtimes/wasm/testing/hoarders.ts';
import { deployGuest } from './support/deploy.ts';
import { makeMemoryCgroup } from './support/memory-cgroup.ts';
import { type Platform, startPlatform } from './support/platform.ts';

const MIB = 1024 * 1024;
const LIMIT_MIB = 900;

const cgroup = makeMemoryCgroup(LIMIT_MIB * MIB);
if (typeof cgroup === 'string') process.stderr.write(`skipped: the limit of a cgroup: ${cgroup}\n`);

let platform: Platform;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-limit-'));
  if (typeof cgroup === 'string') return;
  platform = await startPlatform({ workers: 2, under: cgroup.under });
  await deployGuest(platform, 'hello');
  await deployGuest(platform, 'torture', { args: ['--maxmemory', '1024'] });
  const file = join(folder, 'hoarder.wasm');
  await writeFile(file, await hoarder('bodies written in large parts', 120));
  await deployGuest(platform, 'hoarder', { file });
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  if (typeof cgroup === 'string') return;
  await platform.stop('SIGKILL');
  cgroup.remove();
});

const statusOf = async (path: string, signal?: AbortSignal): Promise<number> => {
  const answer = await fetch(platform.router + path, signal ? { signal } : {});
  await answer.arrayBuffer();
  return answer.status;
};

test.skipIf(typeof cgroup === 'string')(
  'guests that want more memory than there is are refused, and the process never meets its limit',
  { timeout: 300_000 },
  async () => {
    if (typeof cgroup === 'string') return;
    // Eight that grow until they may not, side by side with others that hold what they have for a while.
    for (let round = 0; round < 3; round++) {
      const eaters = Array.from({ length: 8 }, () => statusOf('/torture/alloc'));
      const modest = Array.from({ length: 8 }, () => statusOf('/torture/alloc?bytes=20000000'));
      const ends = await Promise.all([...eaters, ...modest]);
      // 502: the guest met the refusal and gave up; 503: it waited for room, or the platform says whose fault it was.
      expect(ends.every((status) => [200, 502, 503].includes(status))).toBe(true);
      expect(ends.slice(0, 8)).not.toContain(200);
      await expect.poll(() => statusOf('/hello/'), { timeout: 30_000 }).toBe(200);
    }
    // What the host holds for guests comes out of the same budget.
    const abort = new AbortController();
    const hoarders = Array.from({ length: 120 }, () => statusOf('/hoarder/', abort.signal).catch(() => 0));
    expect(await Promise.race(hoarders)).toBe(503);
    await expect.poll(() => statusOf('/hello/'), { timeout: 30_000 }).toBe(200);
    abort.abort();
    await Promise.all(hoarders);
    await expect.poll(() => statusOf('/torture/alloc?bytes=20000000'), { timeout: 30_000 }).toBe(200);

    expect(platform.process.exitCode).toBeNull();
    const seen = `${cgroup.hits()} times at the limit; peak ${Math.round((cgroup.peakBytes() ?? 0) / MIB)} of ${LIMIT_MIB} MiB`;
    expect(cgroup.hits(), seen).toBe(0);
    process.stderr.write(`${seen}\n`);
  },
);
