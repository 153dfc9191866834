/** Threads are warmed at the first start in a data folder, and at each one after that. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, expect, it, vi } from 'vitest';
import { WasmHost } from '../../runtimes/wasm/host.ts';
import { Preparer } from '../../runtimes/wasm/prepare/index.ts';
import { createMetrics } from '../observe/metrics.ts';
import { FunctionTable, ListenerThreads, RouteTable, SharedCounts } from '../router/index.ts';
import { warmUp } from './warm-up.ts';

vi.setConfig({ testTimeout: 60_000 });

const logger = pino({ level: 'silent' });
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

it('does not keep the first start waiting, warms it all the same, and is waited for at the next one', async () => {
  const cacheDir = await mkdtemp(join(tmpdir(), 'fissium-warm-up-'));
  closing.push(() => rm(cacheDir, { recursive: true }));
  const start = (): { done: Promise<void>; warmed: ReturnType<typeof vi.spyOn> } => {
    const metrics = createMetrics({ processMetrics: false });
    const preparer = new Preparer({ cacheDir, logger });
    const router = new ListenerThreads({
      functions: new FunctionTable(),
      routes: new RouteTable(),
      counts: new SharedCounts(),
      metrics,
      logs: { append: () => undefined },
      logger,
      version: '1',
    });
    const host = WasmHost.launch({ threads: 1, logger, listeners: router });
    closing.push(() => metrics.close());
    closing.push(() => preparer.close());
    closing.push(() => host.close());
    closing.push(() => router.close({ graceMs: 0 }));
    const warmed = vi.spyOn(router, 'warmUp');
    return { done: warmUp({ preparer, host, router, logger }), warmed };
  };

  const first = start();
  await first.done;
  expect(first.warmed).not.toHaveBeenCalled();
  await expect
    .poll(() => first.warmed.mock.settledResults, { timeout: 30_000 })
    .toMatchObject([{ type: 'fulfilled' }]);

  const second = start();
  await second.done;
  expect(second.warmed.mock.settledResults).toMatchObject([{ type: 'fulfilled' }]);
});
