/** The same command for the WASI of 2019, which the engine runs over @wasmer/wasi. */
import { parse, print } from '@bytecodealliance/jco-transpile/wasm-tools';

/**
 * The module with its imports renamed. What it does with the few structures that were laid out otherwise (clocks
 * in `poll_oneoff`, `filestat`, `whence`) is then wrong.
 */
export async function asUnstable(wasm: Uint8Array): Promise<Uint8Array> {
  return parse((await print(wasm)).replaceAll('(import "wasi_snapshot_preview1"', '(import "wasi_unstable"'));
}
