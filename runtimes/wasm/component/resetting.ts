/** Whether the instances of a linked component can be reset in place, and its core modules made for that. */
import {
  makeResettable,
  RewriteDeclined,
  type Resettable,
  type ResetSteps,
  type Window,
} from '../rewrite/index.ts';
import { moduleName, type CoreSource, type LinkPlan, type ResetPlan } from './plan.ts';

export interface ResettableComponent {
  /** Core modules in the plan's order; the ones given where they cannot be reset. */
  readonly cores: readonly Uint8Array[];
  readonly plan: LinkPlan;
  /** Why each request needs a new instance; null where instances are reset. */
  readonly blocker: string | null;
}

/** Writes the reset into the core modules, if all of them can have it: half a component is never reset. */
export function makeComponentResettable(
  plan: LinkPlan,
  cores: readonly Uint8Array[],
  steps: ResetSteps = {},
): ResettableComponent {
  const done: Resettable[] = [];
  for (const [i, wasm] of cores.entries()) {
    const result = attempt(wasm, steps);
    if ('blocker' in result) return { cores, plan, blocker: `${moduleName(i)}: ${result.blocker}` };
    done.push(result);
  }
  const instances = plan.instantiations.flatMap(({ module }, i) => (done[module]?.resets ? [i] : []));
  const reset: ResetPlan = { instances, window: hostWindow(plan, done) };
  return { cores: done.map(({ wasm }) => wasm), plan: { ...plan, reset }, blocker: null };
}

function attempt(wasm: Uint8Array, steps: ResetSteps): Resettable | { readonly blocker: string } {
  // Rewriting could give a meaning to an index that the module does not have.
  if (!WebAssembly.validate(wasm as BufferSource)) return { blocker: 'it is not valid' };
  try {
    const result = makeResettable(wasm, steps);
    if ('blocker' in result || WebAssembly.validate(result.wasm as BufferSource)) return result;
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
