/** Whether the instances of a linked component can be reset in place, and its core modules made for that. */
import {
  importMemory,
  makeResettable,
  measuresForeignMemory,
  RewriteDeclined,
  type Resettable,
  type ResetSteps,
  type WantedMemory,
  type Window,
} from '../rewrite/index.ts';
import { moduleName, type CoreSource, type LinkPlan, type ResetPlan } from './plan.ts';

export interface ResettableComponent {
  /** Core modules in the plan's order. */
  readonly cores: readonly Uint8Array[];
  readonly plan: LinkPlan;
  /** Why each request needs a new instance; null where instances are reset. */
  readonly blocker: string | null;
}

/**
 * Writes the reset into the core modules, if all of them can have it: half a component is never reset. Either
 * way, their memories become the host's to make where that can be.
 */
export function makeComponentResettable(
  plan: LinkPlan,
  cores: readonly Uint8Array[],
  steps: ResetSteps = {},
): ResettableComponent {
  const done: Resettable[] = [];
  if (plan.start) return { ...importMemories(plan, cores, steps), blocker: 'it has a start function' };
  for (const [i, wasm] of cores.entries()) {
    const result = attempt(wasm, steps);
    if ('blocker' in result) {
      return { ...importMemories(plan, cores, steps), blocker: `${moduleName(i)}: ${result.blocker}` };
    }
    done.push(result);
  }
  const instances = plan.instantiations.flatMap(({ module }, i) => (done[module]?.resets ? [i] : []));
  const reset: ResetPlan = { instances, window: hostWindow(plan, done) };
  const memories = done.map(({ memory }) => memory);
  return {
    cores: done.map(({ wasm }) => wasm),
    plan: { ...withMemories(plan, memories), reset },
    blocker: null,
  };
}

/** For a component that is not reset: new instances over memories of the host's. */
export function importMemories(
  plan: LinkPlan,
  cores: readonly Uint8Array[],
  { memoryImport = true }: ResetSteps,
): { readonly cores: readonly Uint8Array[]; readonly plan: LinkPlan } {
  if (!memoryImport) return { cores, plan };
  // Sizes are virtual then, which only the module itself knows.
  if (!cores.every(isValid) || cores.some((wasm) => measuresForeignMemory(wasm))) return { cores, plan };
  const done = cores.map((wasm) => {
    const result = importMemory(wasm);
    return result && isValid(result.wasm) ? result : { wasm, memory: null };
  });
  const memories = done.map(({ memory }) => memory);
  return { cores: done.map(({ wasm }) => wasm), plan: withMemories(plan, memories) };
}

function withMemories(plan: LinkPlan, memories: readonly (WantedMemory | null)[]): LinkPlan {
  const instantiations = plan.instantiations.map((item) => {
    const memory = memories[item.module];
    return memory ? { ...item, memory } : item;
  });
  return { ...plan, instantiations };
}

function isValid(wasm: Uint8Array): boolean {
  return WebAssembly.validate(wasm as BufferSource);
}

function attempt(wasm: Uint8Array, steps: ResetSteps): Resettable | { readonly blocker: string } {
  // Rewriting could give a meaning to an index that the module does not have.
  if (!isValid(wasm)) return { blocker: 'it is not valid' };
  try {
    const result = makeResettable(wasm, steps);
    if ('blocker' in result || isValid(result.wasm)) return result;
    return { blocker: 'rewriting it made it invalid' };
  } catch (error) {
    if (error instanceof RewriteDeclined) return { blocker: error.message };
    throw error;
  }
}

/** The window of the memory that the host writes to, if the module that shows it to the host has it itself. */
function hostWindow(plan: LinkPlan, done: readonly Resettable[]): Window | null {
  const memories = plan.trampolines.map((item) => (item.kind === 'lower' ? item.options.memory : null));
  const memory: CoreSource | null = memories.find((item) => item !== null) ?? null;
  if (memory?.from !== 'export') return null;
  return done[plan.instantiations[memory.instance]?.module ?? -1]?.window ?? null;
}
