/** Turns the ES module that jco generates into a function that the garbage collector can free again. */
import { Script } from 'node:vm';
import { FissiumError } from '../../../src/errors.ts';
import { repairGeneratedCode } from '../wasi/index.ts';

export type CoreImports = Record<string, Record<string, unknown>>;

/** jco's `instantiate` with `instantiation: 'async'`, as far as we use it. */
export type Instantiate = (
  getCoreModule: (name: string) => WebAssembly.Module,
  imports: Record<string, unknown>,
  instantiateCore: (module: WebAssembly.Module, imports: CoreImports) => WebAssembly.Instance,
) => Promise<Record<string, unknown>>;

/**
 * Evaluates the script. `import()` would do as well, but an imported module is never freed, and a platform
 * that sees a hundred deploys a day would keep every one of them.
 */
export function loadInstantiate(source: string, filename: string): Instantiate {
  const body = repairGeneratedCode(source)
    .replace(/^export function instantiate\(/m, 'function instantiate(')
    .replace(/^export const /gm, 'const ')
    // Only used to find core modules by URL, which we hand over ourselves.
    .replaceAll('import.meta', '({})');
  if (/^(export|import)\b/m.test(body)) {
    throw new FissiumError('INTERNAL', `${filename} has an import or export that this version does not know`);
  }
  const script = new Script(`(function () {\n${body}\nreturn instantiate;\n})`, { filename, lineOffset: -1 });
  const make = script.runInThisContext() as () => Instantiate;
  return make();
}
