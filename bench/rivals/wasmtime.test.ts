import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { get, load } from '../../src/bench/load/index.ts';
import { findBinary } from '../binaries.ts';
import { findProgram } from '../programs.ts';
import { wasmtime } from './wasmtime.ts';

describe('wasmtime serve', () => {
  // Said in the test's own title where it is not installed.
  const binary = findBinary('wasmtime');
  it.skipIf(binary === null)(
    `without limits answers more at once than it holds by default (${binary ?? 'no wasmtime found'})`,
    { timeout: 60_000 },
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'fissium-bench-test-'));
      const running = await wasmtime.start(findProgram('torture'), { folder, noLimits: true });
      try {
        const result = await load({
          mode: 'burst',
          targets: [get(`${running.url}/sleep?ms=500`)],
          connections: 1200,
          limitMs: 30_000,
        });
        expect(result).toMatchObject({ requests: 1200, errors: {} });
      } finally {
        await running.stop();
        await rm(folder, { recursive: true, force: true });
      }
    },
  );
});
