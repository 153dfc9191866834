export { RewriteDeclined, type DeclineReason } from './declined.ts';
export { addInterruptionCheck, CONTROL_IMPORT, FISSIUM_IMPORTS, LIFE_IMPORT } from './interrupt.ts';
export { readLayout, type ModuleExport, type ModuleLayout } from './layout.ts';
export { limitMemory, PAGE_BYTES } from './memory-limit.ts';
export { IMPORT_KIND, type Import, type Limits } from './types.ts';
