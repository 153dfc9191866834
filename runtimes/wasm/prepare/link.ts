/** Links a component for our own engine, or says why it goes to jco's. */
import {
  compileTrampolines,
  DecodeError,
  findEntry,
  linkComponent,
  LinkDeclined,
  moduleName,
  PLAN_FILE,
} from '../component/index.ts';
import { ASYNC_IMPORTS } from '../wasi/index.ts';

export interface LinkedComponent {
  readonly plan: { readonly name: string; readonly bytes: Uint8Array };
  readonly cores: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/** The linked component, or the reason why the component engine does not take it. */
export function tryLink(wasm: Uint8Array, entry: string): LinkedComponent | { readonly declined: string } {
  try {
    const plan = linkComponent(wasm);
    findEntry(plan, entry);
    // Compiled again in each thread; here only to find what cannot be.
    compileTrampolines(plan, new Set(ASYNC_IMPORTS));
    return {
      plan: { name: PLAN_FILE, bytes: new TextEncoder().encode(JSON.stringify(plan)) },
      cores: plan.modules.map(({ offset, length }, i) => ({
        name: moduleName(i),
        bytes: wasm.slice(offset, offset + length),
      })),
    };
  } catch (error) {
    // What this linker cannot read jco may, or it will say what is wrong with it.
    if (error instanceof LinkDeclined || error instanceof DecodeError) return { declined: error.message };
    throw error;
  }
}
