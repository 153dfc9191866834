import type { Need } from '../pool/index.ts';
import type { CompiledTrampoline } from './abi/trampoline.ts';
import type { LinkPlan } from './plan.ts';

/** What all instances of a function share. */
export interface Linkage {
  readonly plan: LinkPlan;
  readonly trampolines: readonly CompiledTrampoline[];
  /** Compiled core modules, by their index in the plan. */
  readonly modules: readonly WebAssembly.Module[];
  /** Index of the export that is called, in `plan.exports`. */
  readonly entry: number;
  /** Pages that each memory may have (see `prepare/limits.ts`). */
  readonly memoryPages: number;
  /** Memories that core modules make themselves; @default none, or not counted */
  readonly ownMemories?: Need;
}

const NOTHING: Need = { memories: 0, pages: 0 };

/** What a new instance of the function takes of the thread's memory. */
export function needOf({ plan, ownMemories = NOTHING }: Linkage): Need {
  let { memories, pages } = ownMemories;
  for (const { memory } of plan.instantiations) {
    if (!memory) continue;
    memories++;
    pages += memory.initialPages;
  }
  return { memories, pages };
}
