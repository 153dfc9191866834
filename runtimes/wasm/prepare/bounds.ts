/** Refuses core modules that could hold memory where no limit of a function reaches it. */
import { IMPORT_KIND, readLayout, RewriteDeclined } from '../rewrite/index.ts';
import { findSection } from '../rewrite/layout.ts';
import { ByteReader } from '../rewrite/bytes.ts';
import { readSections, SECTION } from '../rewrite/sections.ts';
import { readTables, TABLE_ELEMENTS } from '../rewrite/tables.ts';
import { readParamCounts } from '../rewrite/types.ts';
import { refusal } from './refusal.ts';

const TABLES = 100;

/**
 * Several memories would each have the function's whole limit; tables and the objects of Wasm GC lie in V8's
 * heap, which all functions of the process share and whose end is the end of the process.
 * @param owner which module it is, for the message
 * @throws FissiumError PACKAGE_REFUSED with the reason
 */
export function checkBounds(wasm: Uint8Array, owner: string): void {
  const problem = problemOf(wasm);
  if (problem !== null) throw refusal(`${owner} ${problem}`);
}

function problemOf(wasm: Uint8Array): string | null {
  try {
    const { imports, memories } = readLayout(wasm);
    const count = memories.length + imports.filter(({ kind }) => kind === IMPORT_KIND.memory).length;
    if (count > 1) return `has ${count} memories; a function's memory limit can be held for one`;
    const tables = readTables(wasm);
    const elements = tables.reduce((sum, { min }) => sum + min, 0);
    if (elements > TABLE_ELEMENTS || tables.length > TABLES) {
      return `begins with ${elements} elements in ${tables.length} tables; at most ${TABLE_ELEMENTS} in ${TABLES} are taken`;
    }
    return hasDataTypes(wasm)
      ? 'uses the garbage collection of Wasm (struct or array types), whose memory cannot be limited; ' +
          'build it for linear memory'
      : null;
  } catch (error) {
    if (error instanceof RewriteDeclined) return `cannot be checked for what it holds: ${error.message}`;
    throw error;
  }
}

function hasDataTypes(wasm: Uint8Array): boolean {
  const section = findSection(readSections(wasm), SECTION.type);
  if (section === undefined) return false;
  return readParamCounts(new ByteReader(section.bytes, section.start, section.end)).includes(-1);
}
