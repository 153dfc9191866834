/** Tells what a file is from its size and first bytes, before anything reads the rest. */
import type { FissiumError } from '../../../src/errors.ts';
import { mebibytes, refusal } from './refusal.ts';

export const MAX_PACKAGE_BYTES = 256 * 1024 * 1024;
/** How many bytes {@link sniff} looks at. */
export const SNIFF_BYTES = 8;

export type PackageKind = 'core' | 'component';

const MAGIC: readonly number[] = [0x00, 0x61, 0x73, 0x6d];
const CORE_VERSION: readonly number[] = [0x01, 0x00, 0x00, 0x00];
/** Version 13 of the component preamble, layer 1: what all tools of WASI 0.2 write. */
const COMPONENT_VERSION: readonly number[] = [0x0d, 0x00, 0x01, 0x00];

/** What people deploy by mistake, by their first bytes. */
const OTHER_FILES: readonly (readonly [start: string, what: string])[] = [
  ['PK\u0003\u0004', 'a zip archive'],
  ['\u001f\u008b', 'a gzip file'],
  ['\u007fELF', 'a native program for Linux'],
  ['(module', 'WebAssembly text: assemble it first, with `wasm-tools parse`'],
  ['(compone', 'WebAssembly text: assemble it first, with `wasm-tools parse`'],
  ['#!', 'a script'],
  ['<', 'HTML or XML'],
];

/**
 * @param head the first {@link SNIFF_BYTES} bytes, fewer where the file is shorter
 * @throws FissiumError PACKAGE_REFUSED where it cannot be a package
 */
export function sniff(head: Uint8Array, sizeBytes: number): PackageKind {
  if (sizeBytes === 0) throw refusal('the file is empty (0 bytes)');
  if (sizeBytes > MAX_PACKAGE_BYTES) {
    throw refusal(
      `the file has ${mebibytes(sizeBytes)}, a package may have ${mebibytes(MAX_PACKAGE_BYTES)} at most`,
    );
  }
  if (!startsWith(head, 0, MAGIC.slice(0, head.length))) throw notWasm(head);
  if (head.length < SNIFF_BYTES) throw refusal(`the file ends after ${sizeBytes} bytes: it is truncated`);
  if (startsWith(head, MAGIC.length, CORE_VERSION)) return 'core';
  if (startsWith(head, MAGIC.length, COMPONENT_VERSION)) return 'component';
  const version = [...head.subarray(4, 8)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  throw refusal(
    `the file is WebAssembly of a version that is not known (bytes ${version}; a core module has 01 00 00 00, a component 0d 00 01 00)`,
  );
}

function notWasm(head: Uint8Array): FissiumError {
  const text = Buffer.from(head).toString('latin1');
  const other = OTHER_FILES.find(([start]) => text.startsWith(start));
  const bytes = [...head].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return refusal(`the file is not WebAssembly: it starts with ${bytes}${other ? `, ${other[1]}` : ''}`);
}

function startsWith(bytes: Uint8Array, at: number, wanted: readonly number[]): boolean {
  return wanted.every((byte, index) => bytes[at + index] === byte);
}
