/** Links a component for our own engine, or says why it goes to jco's. */
import {
  checkHostImports,
  checkSignatures,
  compileTrampolines,
  DecodeError,
  findEntry,
  linkComponent,
  LinkDeclined,
  LinkRefused,
  makeComponentResettable,
  moduleName,
  PLAN_FILE,
} from '../component/index.ts';
import { ASYNC_IMPORTS } from '../wasi/index.ts';
import { refusal } from './refusal.ts';

export interface LinkedComponent {
  readonly plan: { readonly name: string; readonly bytes: Uint8Array };
  readonly cores: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /** Why each request needs a new instance; null where one instance is reset for each. */
  readonly resetBlocker: string | null;
}

/**
 * The linked component, or the reason why the component engine does not take it.
 * @throws FissiumError PACKAGE_REFUSED where it imports a function that WASI does not have like that
 */
export function tryLink(wasm: Uint8Array, entry: string): LinkedComponent | { readonly declined: string } {
  try {
    const linked = linkComponent(wasm);
    findEntry(linked, entry);
    checkSignatures(linked);
    // Compiled again in each thread; here only to find what cannot be.
    compileTrampolines(linked, new Set(ASYNC_IMPORTS));
    const { plan, cores, blocker } = makeComponentResettable(
      linked,
      linked.modules.map(({ offset, length }) => wasm.slice(offset, offset + length)),
    );
    return {
      plan: { name: PLAN_FILE, bytes: new TextEncoder().encode(JSON.stringify(plan)) },
      cores: cores.map((bytes, i) => ({ name: moduleName(i), bytes })),
      resetBlocker: blocker,
    };
  } catch (error) {
    if (error instanceof LinkRefused)
      throw refusal(`the component cannot be linked: ${error.message}`, error);
    if (error instanceof DecodeError) throw refusal(`the component cannot be read: ${error.message}`, error);
    if (error instanceof LinkDeclined) return { declined: error.message };
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
