import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileModule } from './compile.ts';
import type { PreparedManifest } from './engine.ts';
import { ModuleCache } from './module-cache.ts';

/** A module with a function that gives 7, and as much as wanted of what is no code. */
function moduleOf(padding: number): Uint8Array {
  const size = [(padding & 0x7f) | 0x80, ((padding >> 7) & 0x7f) | 0x80, (padding >> 14) & 0x7f];
  const parts = [
    [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    [1, 5, 1, 0x60, 0, 1, 0x7f],
    [3, 2, 1, 0],
    [7, 5, 1, 1, 0x66, 0, 0],
    [10, 6, 1, 4, 0, 0x41, 7, 0x0b],
    [0, ...size, 0],
  ];
  return Buffer.concat([Uint8Array.from(parts.flat()), new Uint8Array(padding - 1)]);
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-compile-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function manifestOf(name: string, bytes: number): Promise<PreparedManifest> {
  const wasm = moduleOf(bytes);
  await writeFile(join(folder, name), wasm);
  const modules = [{ name: 'main', file: name, bytes: wasm.byteLength }];
  return { engine: 'component', digest: name, prepareVersion: '1', modules } as unknown as PreparedManifest;
}

test('modules of both modes that are compiled at once all work', async () => {
  const bytes = moduleOf(100);
  const modes = Array.from({ length: 40 }, (_, i) => (i % 3 === 0 ? 'lazy' : 'whole') as 'lazy' | 'whole');
  const modules = await Promise.all(modes.map((mode) => compileModule(bytes, mode)));
  const answers = modules.map((module) => (new WebAssembly.Instance(module).exports['f'] as () => number)());
  expect(answers).toEqual(modes.map(() => 7));
});

test('bytes that are no module do not keep others waiting', async () => {
  const bad = ['whole', 'lazy', 'whole'].map((mode) =>
    compileModule(Uint8Array.of(1, 2, 3), mode as 'whole' | 'lazy'),
  );
  const outcomes = await Promise.allSettled(bad);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  await expect(compileModule(moduleOf(100), 'whole')).resolves.toBeInstanceOf(WebAssembly.Module);
});

test('small packages are compiled whole as long as there are not too many, and large ones never', async () => {
  const cache = new ModuleCache();
  await cache.load('large', await manifestOf('large', 300_000), folder, 2 ** 20);
  expect(cache.wholeBytes).toBe(0);
  const count = 100;
  for (let i = 0; i < count; i++)
    await cache.load(`small${i}`, await manifestOf(`small${i}`, 200_000), folder, 2 ** 20);
  expect(cache.wholeBytes).toBeGreaterThan(15 * 2 ** 20);
  expect(cache.wholeBytes).toBeLessThanOrEqual(16 * 2 ** 20);
  expect(cache.heldBytes).toBeGreaterThan(19 * 2 ** 20);
  for (let i = 0; i < count; i++) cache.release(`small${i}`);
  expect(cache.wholeBytes).toBe(0);
});
