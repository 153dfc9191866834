/** Which functions can be called by others than the module's own direct calls. */
import type { ByteReader } from './bytes.ts';
import { RewriteDeclined } from './declined.ts';
import { walkExpression, type InstructionVisitor } from './instructions.ts';
import { findSection, readVector } from './layout.ts';
import { SECTION, type Section } from './sections.ts';
import { IMPORT_KIND, readLimits, skipValueType } from './types.ts';

const TABLE_WITH_INITIALISER = 0x40;

/**
 * Defined functions, numbered without the imported ones, that are exported or of which a reference exists.
 * Code can only make references to functions that another section names, so no code is read.
 */
export function reachableFunctions(sections: readonly Section[], importedFunctions: number): Set<number> {
  const found = new Set<number>();
  const add = (index: number): void => {
    if (index >= importedFunctions) found.add(index - importedFunctions);
  };
  const visitor: InstructionVisitor = {
    loop: () => undefined,
    call: () => undefined,
    global: () => undefined,
    memory: () => undefined,
    access: () => undefined,
    reference: add,
  };
  const expression = (reader: ByteReader): void => walkExpression(reader, visitor);
  readVector(findSection(sections, SECTION.export), (reader) => {
    reader.name();
    const kind = reader.byte();
    const index = reader.u32();
    if (kind === IMPORT_KIND.function) add(index);
  });
  readVector(findSection(sections, SECTION.global), (reader) => {
    skipValueType(reader);
    reader.byte();
    expression(reader);
  });
  readVector(findSection(sections, SECTION.table), (reader) => {
    const initialised = reader.bytes[reader.at] === TABLE_WITH_INITIALISER;
    if (initialised) reader.skip(2);
    skipValueType(reader);
    readLimits(reader);
    if (initialised) expression(reader);
  });
  readVector(findSection(sections, SECTION.element), (reader) => readElement(reader, add, expression));
  return found;
}

/** Flag bits: 1 not active, 2 with a table index (or declarative), 4 as expressions. */
function readElement(
  reader: ByteReader,
  add: (index: number) => void,
  expression: (reader: ByteReader) => void,
): void {
  const at = reader.at;
  const flags = reader.u32();
  if (flags > 7) throw new RewriteDeclined('unknown-encoding', `element segment ${flags}`, at);
  const active = (flags & 1) === 0;
  if (active && (flags & 2) !== 0) reader.skipLeb(32);
  if (active) expression(reader);
  const expressions = (flags & 4) !== 0;
  if ((flags & 3) !== 0) {
    if (expressions) skipValueType(reader);
    else reader.byte();
  }
  for (let left = reader.u32(); left > 0; left--) {
    if (expressions) expression(reader);
    else add(reader.u32());
  }
}
