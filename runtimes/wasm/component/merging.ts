/** Makes one core module, instantiated once, of all that a linked component consists of. */
import { MergeDeclined, mergeModules, START_EXPORT, type ImportSource } from '../rewrite/merge/index.ts';
import { RewriteDeclined } from '../rewrite/index.ts';
import type { CanonOptions, CoreSource, LinkPlan, Trampoline } from './plan.ts';

export interface MergedComponent {
  readonly plan: LinkPlan;
  /** Core modules in the plan's order; the ones given where they stay apart. */
  readonly cores: readonly Uint8Array[];
  /** Why the core modules stay apart; null where there is one. */
  readonly declined: string | null;
}

/** Merges the core modules of a component, if that can be done and gives a valid module. */
export function mergeComponent(plan: LinkPlan, cores: readonly Uint8Array[]): MergedComponent {
  const apart = (declined: string | null): MergedComponent => ({ plan, cores, declined });
  if (plan.instantiations.length < 2) return apart(null);
  // Numbers that mean nothing in a module could come to mean something in the merged one.
  if (!cores.every(isValid)) return apart('one of them is not valid');
  try {
    const merged = merge(plan, cores);
    return merged.cores.every(isValid) ? merged : apart('merging them gave a module that is not valid');
  } catch (error) {
    if (error instanceof MergeDeclined || error instanceof RewriteDeclined) return apart(error.message);
    throw error;
  }
}

function isValid(wasm: Uint8Array): boolean {
  return WebAssembly.validate(wasm as BufferSource);
}

function merge(plan: LinkPlan, cores: readonly Uint8Array[]): MergedComponent {
  const wanted: { part: number; name: string }[] = [];
  mapSources(plan, (source) => {
    if (source.from === 'export') wanted.push({ part: source.instance, name: source.name });
    return source;
  });
  const { wasm, imports, names, starts } = mergeModules({
    modules: cores,
    instantiations: plan.instantiations.map(({ module, imports: given }) => ({
      module,
      sources: given.map(({ source }): ImportSource =>
        source.from === 'export'
          ? { from: 'export', part: source.instance, name: source.name }
          : { from: 'host', index: source.index },
      ),
    })),
    wanted,
  });
  let next = 0;
  const renamed = mapSources(plan, (source) =>
    source.from === 'export' ? { from: 'export', instance: 0, name: names[next++] ?? '' } : source,
  );
  return {
    plan: {
      ...renamed,
      modules: [{ length: wasm.length }],
      instantiations: [
        {
          module: 0,
          imports: imports.map(({ module, name, host }) => ({
            module,
            name,
            source: { from: 'trampoline', index: host },
          })),
        },
      ],
      ...(starts ? { start: { from: 'export', instance: 0, name: START_EXPORT } } : {}),
    },
    cores: [wasm],
    declined: null,
  };
}

/** The plan with everything that the host takes from core instances mapped, always in the same order. */
function mapSources(plan: LinkPlan, map: (source: CoreSource) => CoreSource): LinkPlan {
  const maybe = (source: CoreSource | null): CoreSource | null => source && map(source);
  const options = ({ memory, realloc, postReturn, encoding }: CanonOptions): CanonOptions => ({
    memory: maybe(memory),
    realloc: maybe(realloc),
    postReturn: maybe(postReturn),
    encoding,
  });
  return {
    ...plan,
    trampolines: plan.trampolines.map((item): Trampoline =>
      item.kind === 'lower' ? { ...item, options: options(item.options) } : item,
    ),
    resources: plan.resources.map((item) => ({ ...item, destructor: maybe(item.destructor) })),
    exports: plan.exports.map((item) => ({
      ...item,
      core: map(item.core),
      options: options(item.options),
    })),
  };
}
