/**
 * Resolves what core modules import from each other, as instantiating them one after the other would: each
 * instance's index spaces hold the items themselves, so that an import and the definition behind it are one.
 */
import { IMPORT_KIND, type Limits } from '../types.ts';
import type { Range } from '../module-edit.ts';
import type { CoreModule, GlobalItem, ItemType, TableDefinition, TypeBytes } from './core-module.ts';
import { readerOf } from './core-module.ts';
import { MergeDeclined } from './declined.ts';

/** Where an import comes from. */
export type ImportSource =
  /** A function of the host's, by a number of the caller's. */
  | { readonly from: 'host'; readonly index: number }
  /** An export of a part that comes earlier. */
  | { readonly from: 'export'; readonly part: number; readonly name: string };

/** One instantiation of a core module. */
export interface Part {
  readonly module: CoreModule;
  /** For each import, in the order of the import section. */
  readonly sources: readonly ImportSource[];
}

interface Numbered {
  /** In the merged module; set once all items are known, -1 for those that it does not have. */
  index: number;
}

export interface FunctionItem extends Numbered {
  readonly kind: typeof IMPORT_KIND.function;
  readonly type: TypeBytes;
  /** The host's number for it; null where a part defines it. */
  readonly host: number | null;
  /** Locals and code, with the part in whose numbers they are; null for the host's functions. */
  readonly body: { readonly range: Range; readonly part: LinkedPart } | null;
  /** The function that is called instead of this one. */
  alias: FunctionItem | null;
  name: string | undefined;
}

export interface TableItem extends Numbered {
  readonly kind: typeof IMPORT_KIND.table;
  readonly definition: TableDefinition;
  readonly part: LinkedPart;
  dropped: boolean;
}

export interface MemoryItem {
  readonly kind: typeof IMPORT_KIND.memory;
  readonly limits: Limits;
}

export interface GlobalDefinitionItem extends Numbered {
  readonly kind: typeof IMPORT_KIND.global;
  readonly definition: GlobalItem;
  readonly part: LinkedPart;
  /** The instruction that gives its value, where that never changes. */
  readonly constant: Range | null;
}

export interface TagItem extends Numbered {
  readonly kind: typeof IMPORT_KIND.tag;
  readonly type: TypeBytes;
}

export type Item = FunctionItem | TableItem | MemoryItem | GlobalDefinitionItem | TagItem;

/** An instantiation with its index spaces. */
export interface LinkedPart {
  readonly module: CoreModule;
  readonly functions: FunctionItem[];
  readonly tables: TableItem[];
  readonly memories: MemoryItem[];
  readonly globals: GlobalDefinitionItem[];
  readonly tags: TagItem[];
  readonly exports: Map<string, Item>;
}

const OP = { i32Const: 0x41, f64Const: 0x44, globalGet: 0x23 } as const;

/**
 * Links the parts in their order.
 * @throws MergeDeclined where an import does not fit what it is given: instantiating would fail
 */
export function linkParts(parts: readonly Part[]): LinkedPart[] {
  const linked: LinkedPart[] = [];
  const hosts = new Map<string, FunctionItem>();
  for (const { module, sources } of parts) {
    const part: LinkedPart = {
      module,
      functions: [],
      tables: [],
      memories: [],
      globals: [],
      tags: [],
      exports: new Map(),
    };
    if (sources.length !== module.imports.length) throw new TypeError('an import has no source');
    for (const [i, { module: from, name, item }] of module.imports.entries()) {
      const source = sources[i];
      const given = source && resolve(source, item, linked, hosts);
      if (!given || !fits(item, given))
        throw new MergeDeclined(`import ${from} ${name} is given something else`);
      add(part, given);
    }
    define(part);
    linked.push(part);
  }
  return linked;
}

function resolve(
  source: ImportSource,
  wanted: ItemType,
  linked: readonly LinkedPart[],
  hosts: Map<string, FunctionItem>,
): Item | undefined {
  if (source.from === 'export') return linked[source.part]?.exports.get(source.name);
  if (wanted.kind !== IMPORT_KIND.function) return undefined;
  // A function of JavaScript's has whatever type it is imported with.
  const key = `${source.index} ${wanted.type}`;
  const known = hosts.get(key);
  if (known) return known;
  const item: FunctionItem = {
    kind: wanted.kind,
    type: wanted.type,
    host: source.index,
    body: null,
    alias: null,
    name: undefined,
    index: -1,
  };
  hosts.set(key, item);
  return item;
}

function define(part: LinkedPart): void {
  const { module } = part;
  const typeAt = (index: number | undefined): TypeBytes => {
    const type = module.types[index ?? -1];
    if (type === undefined) throw new MergeDeclined(`there is no type ${index}`);
    return type;
  };
  for (const [i, range] of module.bodies.entries()) {
    const type = typeAt(module.functions[i]);
    part.functions.push({
      kind: IMPORT_KIND.function,
      type,
      host: null,
      body: { range, part },
      alias: null,
      name: undefined,
      index: -1,
    });
  }
  for (const [index, name] of module.names) {
    const item = part.functions[index];
    if (item) item.name ??= name;
  }
  for (const definition of module.tables)
    part.tables.push({ kind: IMPORT_KIND.table, definition, part, dropped: false, index: -1 });
  for (const limits of module.memories) part.memories.push({ kind: IMPORT_KIND.memory, limits });
  for (const definition of module.globals) {
    const constant = constantOf(definition, part);
    part.globals.push({ kind: IMPORT_KIND.global, definition, part, constant, index: -1 });
  }
  for (const type of module.tags) part.tags.push({ kind: IMPORT_KIND.tag, type: typeAt(type), index: -1 });
  for (const { name, kind, index } of module.exports) {
    const item = spaceOf(part, kind)?.[index];
    if (!item) throw new MergeDeclined(`export ${name} names nothing`);
    part.exports.set(name, item);
  }
}

function add(part: LinkedPart, item: Item): void {
  (spaceOf(part, item.kind) as Item[] | undefined)?.push(item);
}

function spaceOf(part: LinkedPart, kind: number): readonly Item[] | undefined {
  return [part.functions, part.tables, part.memories, part.globals, part.tags][kind];
}

/** Whether an item may be given for an import of that type (core spec 4.5.3), subtypes left out. */
function fits(wanted: ItemType, item: Item): boolean {
  switch (wanted.kind) {
    case IMPORT_KIND.function:
    case IMPORT_KIND.tag:
      return item.kind === wanted.kind && item.type === wanted.type;
    case IMPORT_KIND.table:
      return (
        item.kind === wanted.kind &&
        item.definition.element === wanted.element &&
        limitsFit(wanted.limits, item.definition.limits)
      );
    case IMPORT_KIND.memory:
      return item.kind === wanted.kind && limitsFit(wanted.limits, item.limits);
    case IMPORT_KIND.global:
      return (
        item.kind === wanted.kind &&
        item.definition.value === wanted.value &&
        item.definition.mutable === wanted.mutable
      );
    default:
      return false;
  }
}

function limitsFit(wanted: Limits, given: Limits): boolean {
  if (wanted.shared !== given.shared || wanted.wide !== given.wide || given.min < wanted.min) return false;
  return wanted.max === undefined || (given.max !== undefined && given.max <= wanted.max);
}

/** An immutable global's value as one instruction, through other such globals. */
function constantOf({ mutable, initialiser }: GlobalItem, part: LinkedPart): Range | null {
  if (mutable) return null;
  const reader = readerOf(initialiser);
  const op = reader.byte();
  if (op === OP.globalGet) {
    const index = reader.u32();
    return reader.at === reader.end - 1 ? (part.globals[index]?.constant ?? null) : null;
  }
  if (op < OP.i32Const || op > OP.f64Const) return null;
  if (op <= OP.i32Const + 1) reader.skipLeb(64);
  else reader.skip(op === OP.f64Const ? 8 : 4);
  return reader.at === reader.end - 1 ? { ...initialiser, end: reader.at } : null;
}
