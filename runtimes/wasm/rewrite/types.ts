/** Passing over types, limits and imports: only their extent and their numbers matter to a rewriter. */
import type { ByteReader } from './bytes.ts';
import { RewriteDeclined } from './declined.ts';

const REF = 0x64;
const REF_NULL = 0x63;

/** A value or reference type; `(ref ht)` and `(ref null ht)` carry a heap type. */
export function skipValueType(reader: ByteReader): void {
  const at = reader.at;
  const kind = reader.byte();
  if (kind === REF || kind === REF_NULL) reader.skipLeb(33);
  else if (kind < 0x40 || kind > 0x7f)
    throw new RewriteDeclined('unknown-encoding', `value type ${kind}`, at);
}

/** Nothing, a value type, or a type index (s33). */
export function skipBlockType(reader: ByteReader): void {
  const first = reader.bytes[reader.at];
  if (first === REF || first === REF_NULL) skipValueType(reader);
  else reader.skipLeb(33);
}

export interface Limits {
  readonly min: number;
  readonly max: number | undefined;
  readonly shared: boolean;
  /** Addresses are i64. */
  readonly wide: boolean;
}

const HAS_MAX = 1;
const SHARED = 2;
const WIDE = 4;

export function readLimits(reader: ByteReader): Limits {
  const at = reader.at;
  const flags = reader.byte();
  if (flags > (HAS_MAX | SHARED | WIDE))
    throw new RewriteDeclined('unknown-encoding', `limits flags ${flags}`, at);
  const min = reader.u64();
  const max = (flags & HAS_MAX) === 0 ? undefined : reader.u64();
  return { min, max, shared: (flags & SHARED) !== 0, wide: (flags & WIDE) !== 0 };
}

export const IMPORT_KIND = { function: 0, table: 1, memory: 2, global: 3, tag: 4 } as const;

export interface Import {
  readonly module: string;
  readonly name: string;
  readonly kind: number;
  readonly memory?: Limits;
}

export function readImport(reader: ByteReader): Import {
  const module = reader.name();
  const name = reader.name();
  const at = reader.at;
  const kind = reader.byte();
  switch (kind) {
    case IMPORT_KIND.function:
      reader.u32();
      break;
    case IMPORT_KIND.table:
      skipValueType(reader);
      readLimits(reader);
      break;
    case IMPORT_KIND.memory:
      return { module, name, kind, memory: readLimits(reader) };
    case IMPORT_KIND.global:
      skipValueType(reader);
      reader.byte();
      break;
    case IMPORT_KIND.tag:
      reader.byte();
      reader.u32();
      break;
    default:
      throw new RewriteDeclined('unknown-encoding', `import kind ${kind}`, at);
  }
  return { module, name, kind };
}

const TYPE = { rec: 0x4e, final: 0x4f, open: 0x50, array: 0x5e, struct: 0x5f, function: 0x60 };

/** How many parameters each type of a type section has, in the order of their indices; -1 for types of data. */
export function readParamCounts(reader: ByteReader): number[] {
  const counts: number[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    const group = reader.bytes[reader.at] === TYPE.rec;
    if (group) reader.byte();
    for (let inner = group ? reader.u32() : 1; inner > 0; inner--) counts.push(readParamCount(reader));
  }
  return counts;
}

function readParamCount(reader: ByteReader): number {
  const at = reader.at;
  let kind = reader.byte();
  if (kind === TYPE.final || kind === TYPE.open) {
    for (let left = reader.u32(); left > 0; left--) reader.skipLeb(32);
    kind = reader.byte();
  }
  switch (kind) {
    case TYPE.function: {
      const params = reader.u32();
      for (let left = params; left > 0; left--) skipValueType(reader);
      for (let left = reader.u32(); left > 0; left--) skipValueType(reader);
      return params;
    }
    case TYPE.struct:
      for (let left = reader.u32(); left > 0; left--) skipField(reader);
      return -1;
    case TYPE.array:
      skipField(reader);
      return -1;
    default:
      throw new RewriteDeclined('unknown-encoding', `type ${kind}`, at);
  }
}

function skipField(reader: ByteReader): void {
  // Packed types share the value types' range.
  skipValueType(reader);
  reader.byte();
}
