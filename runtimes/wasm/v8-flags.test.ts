import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** In a process of its own: full collections while so many memories of 1 MiB come into being, and stay. */
async function fullCollections(memories: number, mostBytes: number): Promise<number> {
  const program = `
    import { GCProfiler } from 'node:v8';
    import { setV8Flags, weighGuestMemory } from ${JSON.stringify(new URL('v8-flags.ts', import.meta.url).href)};
    setV8Flags();
    weighGuestMemory(${mostBytes});
    const profiler = new GCProfiler();
    profiler.start();
    const kept = [];
    for (let i = 0; i < ${memories}; i++) {
      kept.push(new WebAssembly.Memory({ initial: 16, maximum: 16 }));
      if (i % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const full = profiler.stop().statistics.filter(({ gcType }) => gcType === 'MarkSweepCompact').length;
    console.log(JSON.stringify([kept.length, full]));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  const [count, full] = JSON.parse(stdout) as [number, number];
  expect(count).toBe(memories);
  return full;
}

it('many guests’ memories bring on few full collections, until a thread has so many that V8 would do nothing else', async () => {
  const [few, many] = await Promise.all([fullCollections(700, 0), fullCollections(700, 2 ** 31)]);
  expect(many).toBeGreaterThan(4);
  expect(few).toBeLessThanOrEqual(many / 2);
});
