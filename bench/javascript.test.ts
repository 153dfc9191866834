import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { componentOf } from './javascript.ts';

describe('a component of JavaScript', { timeout: 180_000 }, () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fissium-bench-test-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('is made once for each source', async () => {
    const [source, cache] = [join(folder, 'my.js'), join(folder, 'cache')];
    await writeFile(
      source,
      `addEventListener('fetch', (event) => event.respondWith(new Response('mine')));\n`,
    );
    const component = await componentOf(source, cache);
    // The preamble of a component: magic, version 13, layer 1.
    expect([...(await readFile(component)).subarray(0, 8)]).toEqual([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);
    const { mtimeMs } = await stat(component);
    expect(await componentOf(source, cache)).toBe(component);
    expect((await stat(component)).mtimeMs).toBe(mtimeMs);
  });

  it('is none where the source is no JavaScript, and the reason is told', async () => {
    const source = join(folder, 'broken.js');
    await writeFile(source, 'addEventListener(\n');
    await expect(componentOf(source, join(folder, 'cache'))).rejects.toThrow(
      /makes no component of broken\.js:[^]*failed to parse JS source/,
    );
  });
});
