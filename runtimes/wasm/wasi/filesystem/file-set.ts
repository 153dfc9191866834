/** Makes the read-only files of a function, once, where it is deployed; its threads share their contents. */
import { createHash } from 'node:crypto';
import type { GuestFileEntry, GuestFileSet } from '../../engine.ts';

export interface FileToPack {
  /** From the root, without a slash before it. */
  readonly path: string;
  readonly content: Uint8Array;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** The set of these files, or null for none. The contents are copied. */
export function packFiles(files: readonly FileToPack[]): GuestFileSet | null {
  if (files.length === 0) return null;
  const bytes = new SharedArrayBuffer(files.reduce((sum, { content }) => sum + content.byteLength, 0));
  const all = new Uint8Array(bytes);
  const hash = createHash('sha256');
  let offset = 0;
  const entries = files.map(({ path, content, modifiedMs }): GuestFileEntry => {
    const sizeBytes = content.byteLength;
    all.set(content, offset);
    // Lengths before contents: no two sets of files are the same bytes here.
    hash.update(`${JSON.stringify([path, sizeBytes, modifiedMs])}\n`).update(content);
    const entry = { path, offset, sizeBytes, modifiedMs };
    offset += sizeBytes;
    return entry;
  });
  return { digest: hash.digest('hex'), bytes, entries };
}
