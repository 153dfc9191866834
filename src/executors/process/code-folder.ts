/** Puts a function's archive where its process loads it from: a zip unpacked, anything else as the one file. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { extractArchive } from '../../packages/index.ts';

/** Fission's name for what a function of environment version 2 and 3 is loaded from. */
const CODE = 'deployarchive';

/**
 * @returns the path to specialise with: a folder for a zip, else a file
 * @throws FissiumError ARCHIVE_REFUSED with the reason
 */
export async function placeCode(archivePath: string, folder: string): Promise<string> {
  const code = join(folder, CODE);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Node takes a file's kind from the next package.json upward: none of the platform's folders may say it.
  await writeFile(join(folder, 'package.json'), '{}');
  await extractArchive(archivePath, code);
  return code;
}
