import { FISSIUM_IMPORTS, readLayout, RewriteDeclined } from '../rewrite/index.ts';
import type { Budget } from './budget.ts';
import { LinkRefused } from './declined.ts';
import { DecodeError } from './reader.ts';

export interface ModuleImport {
  readonly module: string;
  readonly name: string;
}

/**
 * What core module `index` of a component imports, read from its own import section.
 * @param range where it lies in `bytes`
 * @throws DecodeError where it is malformed; LinkRefused where it imports what is the platform's own
 */
export function moduleImports(
  bytes: Uint8Array,
  index: number,
  { offset, length }: { readonly offset: number; readonly length: number },
  budget: Budget,
): readonly ModuleImport[] {
  try {
    const { imports } = readLayout(bytes.subarray(offset, offset + length));
    budget.step(imports.length);
    // It would be given the thread's control block.
    if (imports.some(({ module }) => module === FISSIUM_IMPORTS)) {
      throw new LinkRefused(`core module ${index} imports from ${FISSIUM_IMPORTS}, the platform's own name`);
    }
    return imports;
  } catch (error) {
    if (!(error instanceof RewriteDeclined)) throw error;
    throw new DecodeError(`core module ${index} cannot be read (${error.message})`, offset);
  }
}
