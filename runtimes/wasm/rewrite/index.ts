export { RewriteDeclined, type DeclineReason } from './declined.ts';
export { addInterruptionCheck, CONTROL_IMPORT, FISSIUM_IMPORTS, YIELD_IMPORT } from './interrupt.ts';
export { readLayout, type ModuleExport, type ModuleLayout } from './layout.ts';
export { importMemory, measuresForeignMemory, MEMORY_IMPORT, type WantedMemory } from './memory-import.ts';
export { limitMemory, PAGE_BYTES } from './memory-limit.ts';
export { RESET_EXPORT } from './reset.ts';
export { makeResettable, type Resettable, type ResetSteps } from './resettable.ts';
export { IMPORT_KIND, type Import, type Limits } from './types.ts';
export type { Window } from './write-check.ts';
