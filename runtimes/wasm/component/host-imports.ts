/**
 * What a component asks of its host, also where this linker declines it: jco's generated code calls host
 * functions by the component's own names and types as well, so they are held against WASI all the same.
 */
import { LinkDeclined, LinkRefused } from './declined.ts';
import { linkComponent } from './linker.ts';
import type { ResourceInfo } from './plan.ts';
import { Reader } from './reader.ts';
import { checkSignature, type HostFunction } from './signatures.ts';

const PREAMBLE_BYTES = 8;
const IMPORT_SECTION = 10;

/**
 * @throws DecodeError where the binary is malformed; LinkRefused where an import is not WASI 0.2's, or where the
 * imports cannot all be read
 */
export function checkHostImports(bytes: Uint8Array): void {
  let functions: HostFunction[] = [];
  let resources: readonly ResourceInfo[] = [];
  let readUpTo = 0;
  try {
    linkComponent(bytes, (scope, known, end) => {
      functions = scope.funcs.filter((func) => func.kind === 'host');
      for (const { exports } of scope.instances) {
        for (const entity of exports.values()) {
          if (entity.sort === 'func' && entity.value.kind === 'host') functions.push(entity.value);
        }
      }
      resources = known;
      readUpTo = end;
    });
  } catch (error) {
    if (!(error instanceof LinkDeclined)) throw error;
    if (lastImportEnd(bytes) > readUpTo) {
      throw new LinkRefused(`its imports cannot be checked against WASI 0.2, because ${error.message}`);
    }
  }
  for (const func of functions) checkSignature(func, resources);
}

/** Where the last import section of the outermost component ends; 0 where it has none. */
function lastImportEnd(bytes: Uint8Array): number {
  const reader = new Reader(bytes, PREAMBLE_BYTES);
  let end = 0;
  while (!reader.done) {
    const id = reader.byte();
    const section = reader.slice(reader.u32());
    if (id === IMPORT_SECTION) end = section.end;
  }
  return end;
}
