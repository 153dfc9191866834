/** Turns the ES module that jco generates into a function that the garbage collector can free again. */
import { Script } from 'node:vm';
import { FissiumError } from '../../../src/errors.ts';
import { repairGeneratedCode } from '../wasi/index.ts';
import { addLiftChecks, type LiftChecks } from './lift-checks.ts';

export type CoreImports = Record<string, Record<string, unknown>>;

/** jco's `instantiate` with `instantiation: 'async'`, as far as we use it. */
export type Instantiate = (
  getCoreModule: (name: string) => WebAssembly.Module,
  imports: Record<string, unknown>,
  instantiateCore: InstantiateCore,
) => Promise<Record<string, unknown>>;

/** The third argument of {@link Instantiate}. */
export interface InstantiateCore {
  (module: WebAssembly.Module, imports: CoreImports): WebAssembly.Instance;
  /** Gives the function that is called in place of an export that host functions call: an allocator, a post-return. */
  hostCall(exported: HostCalled | undefined): HostCalled | undefined;
  readonly checks: LiftChecks;
}

export type HostCalled = (...args: unknown[]) => unknown;

/** Where the script takes an export that it calls from a host function, with that on the stack. */
const HOST_CALLED = /\b((?:realloc|postReturn)\d+) = (exports\d+(?:\.[\w$]+|\['[^'\n]*'\]));/g;

/**
 * Evaluates the script. `import()` would do as well, but an imported module is never freed, and a platform
 * that sees a hundred deploys a day would keep every one of them.
 */
export function loadInstantiate(source: string, filename: string): Instantiate {
  const body = addLiftChecks(repairGeneratedCode(source), 'instantiateCore.checks', filename)
    .replace(/^export function instantiate\(/m, 'function instantiate(')
    .replace(/^export const /gm, 'const ')
    .replace(HOST_CALLED, '$1 = instantiateCore.hostCall($2);')
    // Only used to find core modules by URL, which we hand over ourselves.
    .replaceAll('import.meta', '({})');
  if (/^(export|import)\b/m.test(body)) {
    throw new FissiumError('INTERNAL', `${filename} has an import or export that this version does not know`);
  }
  const script = new Script(`(function () {\n${body}\nreturn instantiate;\n})`, { filename, lineOffset: -1 });
  const make = script.runInThisContext() as () => Instantiate;
  return make();
}
