/** Instances of rewritten modules for tests: what they import from `fissium` is made as they ask for it. */
import { FISSIUM_IMPORTS, MEMORY_IMPORT, readLayout } from '../index.ts';

/** @param pages what the memory has, if the module imports one: fewer than it asks for cannot be */
export function instantiate(wasm: Uint8Array, pages = 0): WebAssembly.Exports {
  const module = new WebAssembly.Module(wasm as BufferSource);
  const wants = WebAssembly.Module.imports(module).some(
    (item) => item.module === FISSIUM_IMPORTS && item.name === MEMORY_IMPORT,
  );
  if (!wants) return new WebAssembly.Instance(module).exports;
  const initial = Math.max(pages, firstPages(wasm));
  const memory = new WebAssembly.Memory({ initial, maximum: 100 });
  return new WebAssembly.Instance(module, { [FISSIUM_IMPORTS]: { [MEMORY_IMPORT]: memory } }).exports;
}

function firstPages(wasm: Uint8Array): number {
  const { imports } = readLayout(wasm);
  return imports.find(({ module }) => module === FISSIUM_IMPORTS)?.memory?.min ?? 0;
}
