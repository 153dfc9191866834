import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';

import { extractArchive } from './extract.ts';

let folder: string;
let target: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fissium-extract-'));
  target = join(folder, 'target');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function zipOf(entries: Readonly<Record<string, string | Buffer>>, mode = 0o644): Promise<string> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(entries)) {
    if (name.endsWith('/')) zip.addEmptyDirectory(name);
    else zip.addBuffer(Buffer.from(content), name, { mode: 0o100000 | mode });
  }
  zip.end();
  const chunks: Buffer[] = [];
  for await (const chunk of zip.outputStream) chunks.push(chunk as Buffer);
  const path = join(folder, 'a.zip');
  await writeFile(path, Buffer.concat(chunks));
  return path;
}

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('extractArchive', () => {
  it('unpacks a zip with its folders and executables, for this user alone or for a pod', async () => {
    const path = await zipOf({ 'a/b.txt': 'b', 'empty/': '' });
    await extractArchive(path, target);
    expect(await readFile(join(target, 'a/b.txt'), 'utf8')).toBe('b');
    expect(await readdir(join(target, 'empty'))).toEqual([]);
    expect([await modeOf(target), await modeOf(join(target, 'a/b.txt'))]).toEqual([0o700, 0o600]);

    const program = await zipOf({ run: '#!/bin/sh' }, 0o755);
    await extractArchive(program, join(folder, 'shared'), { shared: true });
    expect([await modeOf(join(folder, 'shared')), await modeOf(join(folder, 'shared/run'))]).toEqual([
      0o755, 0o755,
    ]);
  });

  it('copies what is no zip, and a zip that is to stay one', async () => {
    const code = join(folder, 'hello.py');
    await writeFile(code, 'def main(): pass');
    await extractArchive(code, target);
    expect(await readFile(target, 'utf8')).toBe('def main(): pass');
    const zip = await zipOf({ a: 'a' });
    await extractArchive(zip, join(folder, 'kept'), { keepArchive: true });
    expect(await readFile(join(folder, 'kept'))).toEqual(await readFile(zip));
  });

  it('refuses paths that leave the folder, and leaves nothing behind', async () => {
    // yazl refuses to write such names: the bytes are changed afterwards, both times that they stand in the file.
    const path = await zipOf({ 'x/good.txt': 'good', 'xx/evil.txt': 'evil' });
    const bytes = await readFile(path, 'latin1');
    await writeFile(path, bytes.replaceAll('xx/evil.txt', '../evil.txt'), 'latin1');
    await expect(extractArchive(path, target)).rejects.toMatchObject({ code: 'ARCHIVE_REFUSED' });
    expect(existsSync(join(folder, 'evil.txt'))).toBe(false);
    expect(await readdir(folder)).toEqual(['a.zip']);
  });

  it('refuses a bomb, a gzip file and nothing at all', async () => {
    const bomb = await zipOf({ big: Buffer.alloc(8 * 1024 * 1024) });
    await expect(extractArchive(bomb, target)).rejects.toThrow('over 200 times');
    const other = join(folder, 'other');
    await writeFile(other, Buffer.from([0x1f, 0x8b, 8, 0]));
    await expect(extractArchive(other, target)).rejects.toThrow('gzip');
    await writeFile(other, '');
    await expect(extractArchive(other, target)).rejects.toThrow('empty');
    expect(existsSync(target)).toBe(false);
  });
});
