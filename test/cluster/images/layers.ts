/** Layers are kept as uncompressed tar files under a key of what they are made from, so that each is made once. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CACHE } from '../parts/part.ts';
import { withLock } from '../parts/lock.ts';
import { TarWriter } from './tar.ts';

export interface Layer {
  readonly file: string;
  /** sha256 in hex, of what is both the blob and, as it is not compressed, the layer. */
  readonly digest: string;
  readonly size: number;
}

/** A short hash of what a layer depends on. */
export function keyOf(...inputs: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(`${input.length}\0`).update(input);
  return hash.digest('hex').slice(0, 16);
}

/** The layer of that name and key, filled if it does not exist. */
export async function layer(
  name: string,
  key: string,
  fill: (tar: TarWriter) => Promise<void>,
): Promise<Layer> {
  const folder = join(CACHE, 'layers');
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${name}-${key}.tar`);
  return withLock(`${file}.lock`, async () => {
    const about = `${file}.json`;
    if (existsSync(about)) return JSON.parse(await readFile(about, 'utf8')) as Layer;
    const out = await open(`${file}.new`, 'w');
    const hash = createHash('sha256');
    let size = 0;
    const tar = new TarWriter(async (bytes) => {
      hash.update(bytes);
      size += bytes.length;
      await out.writeFile(bytes);
    });
    try {
      await fill(tar);
      await tar.end();
    } finally {
      await out.close();
    }
    const made: Layer = { file, digest: hash.digest('hex'), size };
    await rename(`${file}.new`, file);
    await writeFile(`${about}.new`, JSON.stringify(made));
    await rename(`${about}.new`, about);
    return made;
  });
}
