import { afterAll, beforeAll, expect, it } from 'vitest';
import { call, TestHost } from '../testing/host.ts';

const REUSE = { mode: 'reuse', maxRequests: null, idleTimeoutMs: 60_000 } as const;

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.start(1);
});
afterAll(() => host.close());

it('a function keeps its state over the host where its instances are reused', async () => {
  const reused = await host.deploy('torture.wasm', { instance: REUSE });
  const fresh = await host.deploy('torture.wasm');
  const counts: string[] = [];
  for (let i = 0; i < 3; i++) counts.push((await call(reused, '/counter')).body);
  expect(new Set(counts).size).toBe(3);
  const first = (await call(fresh, '/counter')).body;
  expect((await call(fresh, '/counter')).body).toBe(first);
  await expect(call(reused, '/trap')).rejects.toMatchObject({ code: 'GUEST_TRAPPED' });
  expect((await call(reused, '/counter')).body).toBe(counts[0]);
});

it('more than one request at once in an instance is refused at deploy', async () => {
  const deployed = host.deploy('torture.wasm', { instance: { ...REUSE, maxConcurrent: 2 } });
  await expect(deployed).rejects.toThrow(/maxConcurrent is 2.*one request at a time/s);
});
