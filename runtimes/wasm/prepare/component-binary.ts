/**
 * Reads as much of a component's binary as prepare decides on: what it imports and exports, and every name
 * that jco would write into the script it generates.
 *
 * jco (1.35, jco-transpile 0.15) puts the names of core imports and exports between quotes without escaping
 * them, so a component with an export named `x'];evil();//` would run code of its choice outside of the
 * sandbox. Names that could end a string, a template or a comment are therefore refused, at any depth.
 */
import { ByteReader } from '../rewrite/bytes.ts';
import { RewriteDeclined } from '../rewrite/declined.ts';
import { readLayout } from '../rewrite/index.ts';
import { checkMemory } from './preview1.ts';
import { quoted, refusal } from './refusal.ts';

export interface ComponentOutline {
  readonly imports: readonly string[];
  readonly exports: readonly string[];
}

const SECTION = {
  custom: 0,
  coreModule: 1,
  coreInstance: 2,
  coreType: 3,
  component: 4,
  instance: 5,
  alias: 6,
  import: 10,
  export: 11,
};
const LAST_SECTION = 12;
const PREAMBLE_BYTES = 8;
/** Deeper nesting than any tool writes; keeps hostile input from using up the stack. */
const MAX_DEPTH = 32;

/** @throws FissiumError PACKAGE_REFUSED where the bytes make no sense, or hold a name that is not safe */
export function readComponent(wasm: Uint8Array): ComponentOutline {
  try {
    return readLevel(wasm, PREAMBLE_BYTES, wasm.length, 0);
  } catch (error) {
    if (!(error instanceof RewriteDeclined)) throw error;
    const truncated = error.message.includes('ends too early') ? ': the file is truncated or damaged' : '';
    throw refusal(`the component cannot be read: ${error.message}${truncated}`, error);
  }
}

/** The component without the custom sections of its top level (names, producers, documentation): no code needs them. */
export function withoutCustomSections(wasm: Uint8Array): Uint8Array {
  const reader = new ByteReader(wasm, PREAMBLE_BYTES);
  const kept: Uint8Array[] = [wasm.subarray(0, PREAMBLE_BYTES)];
  while (!reader.done) {
    const start = reader.at;
    const id = reader.byte();
    reader.skip(reader.u32());
    if (id !== SECTION.custom) kept.push(wasm.subarray(start, reader.at));
  }
  return new Uint8Array(Buffer.concat(kept));
}

function readLevel(wasm: Uint8Array, from: number, to: number, depth: number): ComponentOutline {
  if (depth > MAX_DEPTH) throw refusal(`the component nests components more than ${MAX_DEPTH} deep`);
  const reader = new ByteReader(wasm, from, to);
  const imports: string[] = [];
  const exports: string[] = [];
  while (!reader.done) {
    const begin = reader.at;
    const id = reader.byte();
    const size = reader.u32();
    const start = reader.at;
    reader.skip(size);
    const content = new ByteReader(wasm, start, reader.at);
    switch (id) {
      case SECTION.coreModule:
        checkCoreModule(wasm.subarray(start, reader.at));
        break;
      case SECTION.coreInstance:
        each(content, readCoreInstance);
        break;
      case SECTION.coreType:
        checkBytes(content);
        break;
      case SECTION.component:
        readLevel(wasm, start + PREAMBLE_BYTES, reader.at, depth + 1);
        break;
      case SECTION.alias:
        each(content, readAlias);
        break;
      case SECTION.import:
        each(content, () => imports.push(readImport(content)));
        break;
      case SECTION.export:
        each(content, () => exports.push(readExport(content)));
        break;
      default:
        if (id > LAST_SECTION)
          throw new RewriteDeclined('unknown-encoding', `section ${id} is not known`, begin);
    }
  }
  return { imports, exports };
}

function each(reader: ByteReader, read: (reader: ByteReader) => void): void {
  for (let left = reader.u32(); left > 0; left--) read(reader);
}

/** Quotes, backslashes, control characters, line separators, and what begins or ends templates and comments. */
// oxlint-disable-next-line no-control-regex -- control characters are exactly what must be found
const UNSAFE = /['"`\\\u0000-\u001f\u007f-\u009f\u2028\u2029]|\$\{|\*\/|\/\*/;

function checkName(name: string): string {
  if (UNSAFE.test(name)) {
    throw refusal(
      `the component uses the name ${quoted(name)}; quotes, backslashes and control characters are not allowed in names`,
    );
  }
  return name;
}

function checkCoreModule(wasm: Uint8Array): void {
  const { imports, exports, memories } = readLayout(wasm);
  for (const { module, name, memory } of imports) {
    checkName(module);
    checkName(name);
    if (memory) checkMemory(memory, 'a core module of the component');
  }
  for (const { name } of exports) checkName(name);
  for (const memory of memories) checkMemory(memory, 'a core module of the component');
}

/** `0x00 module args` or `0x01 inline exports` (component model, Binary.md). */
function readCoreInstance(reader: ByteReader): void {
  const at = reader.at;
  const form = reader.byte();
  if (form === 0) {
    reader.u32();
    each(reader, () => {
      checkName(reader.name());
      reader.byte();
      reader.u32();
    });
  } else if (form === 1) {
    each(reader, () => {
      checkName(reader.name());
      reader.byte();
      reader.u32();
    });
  } else throw new RewriteDeclined('unknown-encoding', `core instance ${form}`, at);
}

function skipSort(reader: ByteReader): void {
  if (reader.byte() === 0) reader.byte();
}

function readAlias(reader: ByteReader): void {
  skipSort(reader);
  const at = reader.at;
  const target = reader.byte();
  reader.u32();
  if (target === 0 || target === 1) checkName(reader.name());
  else if (target === 2) reader.u32();
  else throw new RewriteDeclined('unknown-encoding', `alias ${target}`, at);
}

/** An import's or export's name; forms 1 and 2 are of later drafts, 2 with a version suffix. */
function readExternName(reader: ByteReader): string {
  const at = reader.at;
  const form = reader.byte();
  if (form > 2) throw new RewriteDeclined('unknown-encoding', `name of form ${form}`, at);
  const name = checkName(reader.name());
  return form === 2 ? name + checkName(reader.name()) : name;
}

const EXTERN = { coreModule: 0, value: 2, type: 3 };

function skipExternType(reader: ByteReader): void {
  const kind = reader.byte();
  if (kind === EXTERN.coreModule) reader.byte();
  if (kind === EXTERN.value || kind === EXTERN.type) {
    // A bound: `eq` with an index, or for types `sub resource` without one.
    const bound = reader.byte();
    if (kind === EXTERN.type && bound === 1) return;
  }
  reader.skipLeb(33);
}

function readImport(reader: ByteReader): string {
  const name = readExternName(reader);
  skipExternType(reader);
  return name;
}

function readExport(reader: ByteReader): string {
  const name = readExternName(reader);
  skipSort(reader);
  reader.u32();
  if (reader.byte() !== 0) skipExternType(reader);
  return name;
}

/**
 * Core types hold names too, but hardly a tool writes any: their bytes are looked at instead of decoded. Only
 * what ends a string is looked for; a backquote is also the code of a function type.
 */
function checkBytes(reader: ByteReader): void {
  const text = Buffer.from(reader.bytes.subarray(reader.at, reader.end)).toString('latin1');
  if (/['"\\]/.test(text))
    throw refusal('the component has a core type section with quotes or backslashes in names');
}
