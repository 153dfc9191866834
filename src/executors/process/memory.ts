/** How much memory a process has in use. */
import { readFile } from 'node:fs/promises';

const PAGE_BYTES = 4096;

/** Resident memory without what it shares with files (statm), or null where it cannot be read. */
export async function residentBytes(pid: number): Promise<number | null> {
  try {
    const [, resident = 0, shared = 0] = (await readFile(`/proc/${pid}/statm`, 'utf8'))
      .split(' ')
      .map(Number);
    return (resident - shared) * PAGE_BYTES;
  } catch {
    return null;
  }
}
