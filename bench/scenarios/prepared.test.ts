import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findProgram } from '../programs.ts';
import type { Rival } from '../rivals/index.ts';
import { PreparedPrograms } from './prepared.ts';

const program = findProgram('hello');

/** A rival that keeps its state in a file. */
function rival(prepare: (folder: string) => Promise<void>): Rival {
  return {
    name: 'a-rival',
    title: 'A rival',
    isolation: 'none',
    find: () => Promise.resolve({ available: true, version: '1', how: 'here' }),
    refuses: () => null,
    prepare: (_program, { folder }) => prepare(folder),
    start: () => Promise.reject(new Error('is not started')),
  };
}

describe('prepared programs', () => {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'fissium-bench-test-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));
  const folder = (): Promise<string> => mkdtemp(join(root, 'folder-'));

  it('are prepared once, and what a process leaves in its folder is not in the next one', async () => {
    const made: string[] = [];
    const one = rival(async (where) => {
      made.push(where);
      await writeFile(join(where, 'state'), 'prepared');
    });
    const prepared = new PreparedPrograms();
    const [first, second] = [await folder(), await folder()];
    await prepared.into(first, one, program);
    await writeFile(join(first, 'state'), 'served');
    await prepared.into(second, one, program);
    expect(await readFile(join(second, 'state'), 'utf8')).toBe('prepared');
    expect(made).toHaveLength(1);
    await prepared.close();
    expect(existsSync(made[0] ?? '')).toBe(false);
  });

  it('are tried again where preparing failed, and nothing is left of that', async () => {
    const made: string[] = [];
    const one = rival((where) => {
      made.push(where);
      return made.length === 1 ? Promise.reject(new Error('not yet')) : Promise.resolve();
    });
    const prepared = new PreparedPrograms();
    await expect(prepared.into(await folder(), one, program)).rejects.toThrow('not yet');
    expect(existsSync(made[0] ?? '')).toBe(false);
    await prepared.into(await folder(), one, program);
    expect(made).toHaveLength(2);
    expect(dirname(made[1] ?? '')).toBe(tmpdir());
    await prepared.close();
  });
});
