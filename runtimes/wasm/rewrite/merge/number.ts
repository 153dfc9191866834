/** Which items the merged module has, and their numbers there. */
import type { Limits } from '../types.ts';
import { MergeDeclined } from './declined.ts';
import type { TypeBytes } from './core-module.ts';
import type { FunctionItem, GlobalDefinitionItem, LinkedPart, TableItem, TagItem } from './link.ts';
import { finalOf } from './shim.ts';

/** The merged module's index spaces; items carry their numbers. */
export interface Spaces {
  readonly types: ReadonlyMap<TypeBytes, number>;
  /** The host's functions; the module's own follow them. */
  readonly hosts: readonly FunctionItem[];
  readonly functions: readonly FunctionItem[];
  readonly tables: readonly TableItem[];
  readonly memory: Limits | null;
  readonly tags: readonly TagItem[];
  readonly globals: readonly GlobalDefinitionItem[];
  /** By part, the number of each of its segments; -1 for those that are dropped. */
  readonly elements: ReadonlyMap<LinkedPart, readonly number[]>;
  /** By part, the number of its first data segment. */
  readonly data: ReadonlyMap<LinkedPart, number>;
}

/**
 * Numbers everything that the parts have, in their order. Tables and aliases are settled before.
 * @throws MergeDeclined where they have several memories between them
 */
export function numberItems(parts: readonly LinkedPart[]): Spaces {
  const types = new Map<TypeBytes, number>();
  const hosts = new Set<FunctionItem>();
  const functions: FunctionItem[] = [];
  const tables: TableItem[] = [];
  const tags: TagItem[] = [];
  const globals: GlobalDefinitionItem[] = [];
  const elements = new Map<LinkedPart, readonly number[]>();
  const data = new Map<LinkedPart, number>();
  let memory: Limits | null = null;
  let elementCount = 0;
  let dataCount = 0;
  for (const part of parts) {
    for (const type of part.module.types) if (!types.has(type)) types.set(type, types.size);
    for (const item of part.functions) {
      const final = finalOf(item);
      if (!final) throw new TypeError('aliases lead round in a circle');
      final.name ??= item.name;
      if (final.host !== null) hosts.add(final);
      else if (item.body?.part === part && final === item) functions.push(item);
    }
    tables.push(...part.tables.filter((item) => item.part === part && !item.dropped));
    for (const limits of part.module.memories) {
      if (memory) throw new MergeDeclined('they have more than one memory between them');
      memory = limits;
    }
    if (part.memories.length > 1) throw new MergeDeclined('one of them has its memory twice');
    tags.push(...part.tags.slice(part.tags.length - part.module.tags.length));
    globals.push(...part.globals.filter((item) => item.part === part));
    elements.set(
      part,
      part.module.elements.map(({ mode, table }) =>
        mode === 'active' && part.tables[table]?.dropped === true ? -1 : elementCount++,
      ),
    );
    data.set(part, dataCount);
    dataCount += part.module.data.length;
  }
  [...hosts, ...functions].forEach((item, index) => (item.index = index));
  tables.forEach((item, index) => (item.index = index));
  tags.forEach((item, index) => (item.index = index));
  globals.forEach((item, index) => (item.index = index));
  return { types, hosts: [...hosts], functions, tables, memory, tags, globals, elements, data };
}
