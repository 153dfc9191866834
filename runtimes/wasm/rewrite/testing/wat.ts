/** Assembles WebAssembly text for tests. */
import { parse } from '@bytecodealliance/jco-transpile/wasm-tools';

export async function wat(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return (await parse(text)) as Uint8Array<ArrayBuffer>;
}
