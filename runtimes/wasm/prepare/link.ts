/** Links a component for our own engine, or says why it goes to jco's. */
import { FissiumError } from '../../../src/errors.ts';
import {
  checkHostImports,
  checkSignatures,
  compileTrampolines,
  DecodeError,
  findEntry,
  importMemories,
  linkComponent,
  LinkDeclined,
  LinkRefused,
  makeComponentResettable,
  mergeComponent,
  moduleName,
  PLAN_FILE,
  type LinkPlan,
  type MergedComponent,
} from '../component/index.ts';
import { readSections, SECTION } from '../rewrite/sections.ts';
import { ASYNC_IMPORTS } from '../wasi/index.ts';
import { checkBounds } from './bounds.ts';
import { refusal } from './refusal.ts';
import { snapshotComponent } from './snapshot.ts';
import { ALL_STEPS, TOLD_SO, type PrepareSteps } from './steps.ts';

export interface LinkedComponent {
  readonly plan: { readonly name: string; readonly bytes: Uint8Array };
  readonly cores: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /** Why each request needs a new instance; null where one instance is reset for each. */
  readonly resetBlocker: string | null;
  /** Why its core modules stay apart; null where it has one, or they became one. */
  readonly mergeBlocker: string | null;
  /** What became of what it does before its first request, for the Package's status; '' where that is nothing. */
  readonly startReason: string;
}

/**
 * The linked component, or the reason why the component engine does not take it.
 * @throws FissiumError PACKAGE_REFUSED where it imports a function that WASI does not have like that
 */
export async function tryLink(
  wasm: Uint8Array,
  entry: string,
  steps: PrepareSteps = ALL_STEPS,
): Promise<LinkedComponent | { readonly declined: string }> {
  try {
    const linked = linkComponent(wasm);
    findEntry(linked, entry);
    checkSignatures(linked);
    // Compiled again in each thread; here only to find what cannot be.
    compileTrampolines(linked, new Set(ASYNC_IMPORTS));
    const whole = mergeWithin(
      linked,
      linked.modules.map(({ offset, length }) => wasm.slice(offset, offset + length)),
      steps,
    );
    const begun = steps.snapshot
      ? await snapshotComponent(whole.plan, whole.cores)
      : { ...whole, reason: '' };
    const { plan, cores, blocker } = steps.reset
      ? makeComponentResettable(begun.plan, begun.cores, steps)
      : { ...importMemories(begun.plan, begun.cores, steps), blocker: TOLD_SO };
    const ahead = blocker === null || (plan.start === undefined && !cores.some(startsItself));
    return {
      plan: { name: PLAN_FILE, bytes: new TextEncoder().encode(JSON.stringify({ ...plan, ahead })) },
      cores: cores.map((bytes, i) => ({ name: moduleName(i), bytes })),
      resetBlocker: blocker,
      mergeBlocker: whole.declined,
      startReason: begun.reason,
    };
  } catch (error) {
    if (error instanceof LinkRefused)
      throw refusal(`the component cannot be linked: ${error.message}`, error);
    if (error instanceof DecodeError) throw refusal(`the component cannot be read: ${error.message}`, error);
    if (error instanceof LinkDeclined) return { declined: error.message };
    throw error;
  }
}

/** Whether code of a core module runs as it is instantiated; yes where that cannot be seen. */
function startsItself(core: Uint8Array): boolean {
  try {
    return readSections(core).some(({ id }) => id === SECTION.start);
  } catch {
    return true;
  }
}

/** Merges the core modules, unless that makes one that holds more than a module may, where each of them does not. */
function mergeWithin(plan: LinkPlan, cores: readonly Uint8Array[], { merge }: PrepareSteps): MergedComponent {
  const apart = (declined: string): MergedComponent => ({ plan, cores, declined });
  if (!merge) return apart(TOLD_SO);
  const merged = mergeComponent(plan, cores);
  if (merged.declined !== null || merged.cores === cores) return merged;
  try {
    for (const core of merged.cores) checkBounds(core, 'all of them in one');
    return merged;
  } catch (error) {
    if (error instanceof FissiumError) return apart(error.message);
    throw error;
  }
}

/**
 * Whether jco's engine may have a component that ours declines.
 * @throws FissiumError PACKAGE_REFUSED where it imports a function that WASI does not have like that
 */
export function checkForJco(wasm: Uint8Array): void {
  try {
    checkHostImports(wasm);
  } catch (error) {
    if (error instanceof LinkRefused || error instanceof DecodeError) {
      throw refusal(`the component cannot be linked: ${error.message}`, error);
    }
    throw error;
  }
}
