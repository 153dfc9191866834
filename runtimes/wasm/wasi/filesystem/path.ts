import { FILE_NAME_BYTES_CAP, FILE_PATH_BYTES_CAP } from '../limits.ts';
import type { FilesystemErrorCode } from './error-code.ts';

/** A path in its parts. `.` is gone from them; `..` is not, for it is only known on the way where it leads. */
export interface Path {
  readonly parts: readonly string[];
  /** It ends in a slash or a dot: what it names must be a folder. */
  readonly directory: boolean;
}

/**
 * Reads a guest's path, which is relative to a descriptor (wasi:filesystem, "path resolution"). An absolute one
 * leads out of the descriptor's folder, which is not permitted.
 */
export function parsePath(path: string): Path | FilesystemErrorCode {
  if (path === '') return 'no-entry';
  if (path.startsWith('/')) return 'not-permitted';
  if (path.includes('\0')) return 'invalid';
  if (isLonger(path, FILE_PATH_BYTES_CAP)) return 'name-too-long';
  const all = path.split('/');
  const last = all.at(-1);
  const parts = all.filter((part) => part !== '' && part !== '.');
  if (parts.some((part) => isLonger(part, FILE_NAME_BYTES_CAP))) return 'name-too-long';
  return { parts, directory: last === '' || last === '.' || last === '..' };
}

function isLonger(text: string, bytes: number): boolean {
  // A code unit has at most three bytes.
  if (text.length * 3 <= bytes) return false;
  return text.length > bytes || Buffer.byteLength(text) > bytes;
}
