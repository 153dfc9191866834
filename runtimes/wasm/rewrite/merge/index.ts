/**
 * Makes one core module of several that are instantiated together, one after the other. A component from
 * `wit-component` has a main module, often an adapter that writes the main module's memory, and two that exist
 * to let these call each other; merged, they are one instance with one memory of its own.
 *
 * What a guest can see stays as it was: items keep their order, so segments are copied and globals begun in the
 * order in which the instances would have been made. A start function is not written as one: the caller calls
 * {@link START_EXPORT} behind the instantiation. That is the same moment only where no later part copies
 * segments of its own, so other parts are declined.
 */
import { IMPORT_KIND } from '../types.ts';
import { readCoreModule, type CoreModule } from './core-module.ts';
import { MergeDeclined } from './declined.ts';
import { linkParts, type FunctionItem, type ImportSource, type LinkedPart } from './link.ts';
import { numberItems } from './number.ts';
import { bypassShims, finalOf } from './shim.ts';
import { HOST_MODULE, importName, MergedWriter, type WrittenExport } from './write.ts';

export { MergeDeclined } from './declined.ts';
export type { ImportSource } from './link.ts';

/** What the function is exported as that does what start functions did. */
export const START_EXPORT = 'fissium_start';

/** What copies of modules that are instantiated more than once may add, bytes. */
const MAX_COPIED_BYTES = 1024 * 1024;
/** A component of `wit-component` has four; one that is linked of shared libraries some dozens. */
const MAX_PARTS = 1000;

export interface MergeInput {
  readonly modules: readonly Uint8Array[];
  /** In the order in which they are made. */
  readonly instantiations: readonly {
    /** Index into `modules`. */
    readonly module: number;
    /** For each import, in the order of the module's import section. */
    readonly sources: readonly ImportSource[];
  }[];
  /** Exports that others ask for. */
  readonly wanted: readonly { readonly part: number; readonly name: string }[];
}

export interface Merged {
  readonly wasm: Uint8Array;
  /** Which host function stands behind which import. */
  readonly imports: readonly { readonly module: string; readonly name: string; readonly host: number }[];
  /** What the wanted exports are called now, in their order. */
  readonly names: readonly string[];
  /** Whether it exports {@link START_EXPORT}. */
  readonly starts: boolean;
}

/**
 * Merges valid modules.
 * @throws MergeDeclined, or RewriteDeclined where a module holds what is not known here. The caller validates
 * what comes out.
 */
export function mergeModules({ modules, instantiations, wanted }: MergeInput): Merged {
  checkCopies(modules, instantiations);
  const read = new Map<number, CoreModule>();
  const parts = linkParts(
    instantiations.map(({ module: index, sources }) => {
      const bytes = modules[index];
      if (!bytes) throw new TypeError(`there is no module ${index}`);
      const module = read.get(index) ?? readCoreModule(bytes);
      read.set(index, module);
      return { module, sources };
    }),
  );
  checkStarts(parts);
  bypassShims(parts);
  const spaces = numberItems(parts);
  const starts = parts.flatMap(({ module, functions }) => {
    const item = module.start === null ? undefined : functions[module.start];
    return item ? [finalOf(item) ?? item] : [];
  });
  const { exports, names } = nameExports(parts, wanted);
  if (starts.length > 0) {
    const own = spaces.hosts.length + spaces.functions.length;
    exports.push({ name: START_EXPORT, kind: IMPORT_KIND.function, index: own });
  }
  return {
    wasm: new MergedWriter(parts, spaces).write(exports, starts),
    imports: spaces.hosts.map(({ host }, i) => ({
      module: HOST_MODULE,
      name: importName(i),
      host: host ?? -1,
    })),
    names,
    starts: starts.length > 0,
  };
}

function checkCopies(modules: readonly Uint8Array[], instantiations: MergeInput['instantiations']): void {
  if (instantiations.length > MAX_PARTS)
    throw new MergeDeclined(`they are ${instantiations.length}; at most ${MAX_PARTS} are merged`);
  const seen = new Set<number>();
  let copied = 0;
  for (const { module } of instantiations) {
    if (seen.has(module)) copied += modules[module]?.length ?? 0;
    seen.add(module);
    if (copied > MAX_COPIED_BYTES)
      throw new MergeDeclined(
        `they are instantiated so often that copies would take more than ${MAX_COPIED_BYTES} bytes`,
      );
  }
}

/** A start function would run before segments that it now finds in place. */
function checkStarts(parts: readonly LinkedPart[]): void {
  let started = false;
  for (const { module } of parts) {
    const copies =
      module.elements.some(({ mode }) => mode === 'active') || module.data.some(({ offset }) => offset);
    if (started && copies) throw new MergeDeclined('one of them starts before all data is in its place');
    started ||= module.start !== null;
  }
}

/** Names stay where they are the only ones of their kind. */
function nameExports(
  parts: readonly LinkedPart[],
  wanted: MergeInput['wanted'],
): { exports: WrittenExport[]; names: string[] } {
  const taken = new Map<string, string>([[START_EXPORT, '']]);
  const exports: WrittenExport[] = [];
  const names = wanted.map(({ part, name }) => {
    const item = parts[part]?.exports.get(name);
    if (!item) throw new MergeDeclined(`none of them exports ${name}`);
    const { kind, index } = place(item);
    const key = `${kind} ${index}`;
    let chosen = name;
    for (let i = 1; taken.has(chosen) && taken.get(chosen) !== key; i++) chosen = `${name} ${i}`;
    if (!taken.has(chosen)) exports.push({ name: chosen, kind, index });
    taken.set(chosen, key);
    return chosen;
  });
  return { exports, names };
}

function place(item: FunctionItem | { readonly kind: number }): { kind: number; index: number } {
  if ('alias' in item) return { kind: item.kind, index: (finalOf(item) ?? item).index };
  if (item.kind === IMPORT_KIND.memory) return { kind: item.kind, index: 0 };
  throw new MergeDeclined('the host asks for something that is neither a function nor a memory');
}
