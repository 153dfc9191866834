/** What a core module is given to import. */
import type { InterruptControl } from '../engine.ts';
import { FISSIUM_IMPORTS } from '../rewrite/index.ts';
import type { CoreInstantiation } from './plan.ts';

/** An import that another core module exports. */
interface LaterImport {
  readonly items: Record<string, unknown>;
  readonly name: string;
  readonly instance: number;
  readonly exported: string;
}

export interface CoreImports {
  readonly all: Readonly<Record<string, Record<string, unknown>>>;
  /** What modules import from the platform. */
  readonly ours: Record<string, unknown>;
  readonly later: readonly LaterImport[];
}

/**
 * Made once for all lives of an instance. Objects without a prototype: names are the guest's, `__proto__` among them.
 *
 * @param made the host functions, by trampoline
 */
export function coreImports(
  wanted: CoreInstantiation['imports'],
  made: readonly unknown[],
  { memory, yield: giveWay }: InterruptControl,
): CoreImports {
  const all = Object.create(null) as Record<string, Record<string, unknown>>;
  const later: LaterImport[] = [];
  for (const { module, name, source } of wanted) {
    const items = (all[module] ??= Object.create(null) as Record<string, unknown>);
    items[name] = source.from === 'trampoline' ? made[source.index] : undefined;
    if (source.from === 'export')
      later.push({ items, name, instance: source.instance, exported: source.name });
  }
  // Last, and in an object of its own: a guest may name its imports as ours are named.
  const ours: Record<string, unknown> = { control: memory, yield: giveWay };
  all[FISSIUM_IMPORTS] = ours;
  return { all, ours, later };
}
