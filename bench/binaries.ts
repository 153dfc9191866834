/** Programs that are used when they are there, and never built or fetched here. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const TOOLS = join(import.meta.dirname, '.tools');

/** The first file of this name in `bench/.tools` or PATH. */
export function findBinary(name: string): string | null {
  const folders = [TOOLS, join(TOOLS, 'bin'), ...(process.env['PATH'] ?? '').split(delimiter)];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}
