/** What prepare says when it takes a package, or does not. */
import { FissiumError } from '../../../src/errors.ts';

export const WHAT_IS_SUPPORTED =
  'Supported are WebAssembly components that export wasi:http/incoming-handler@0.2.x, and WASI preview 1 ' +
  'commands (core modules that export _start and import only wasi_snapshot_preview1), which run as CGI programs';

/** A refusal that says what was found and what would be taken. */
export function refusal(found: string, cause?: unknown): FissiumError {
  return new FissiumError(
    'PACKAGE_REFUSED',
    `${found}. ${WHAT_IS_SUPPORTED}.`,
    cause === undefined ? {} : { cause },
  );
}

const MIB = 1024 * 1024;

/** Bytes for people: whole MiB where they are, else one digit. */
export function mebibytes(bytes: number): string {
  const value = bytes / MIB;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} MiB`;
}

/** A name from a package in a message: short, and without what would confuse a terminal. */
export function quoted(name: string): string {
  const short = name.length > 120 ? `${name.slice(0, 117)}...` : name;
  return JSON.stringify(short);
}
