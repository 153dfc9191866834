export { compileTrampolines } from './abi/trampoline.ts';
export { LinkDeclined, LinkRefused } from './declined.ts';
export { checkHostImports } from './host-imports.ts';
export { linkComponent } from './linker.ts';
export { findEntry, moduleName, PLAN_FILE, type LinkPlan } from './plan.ts';
export { DecodeError } from './reader.ts';
export { mergeComponent, type MergedComponent } from './merging.ts';
export { importMemories, makeComponentResettable } from './resetting.ts';
export { checkSignatures } from './signatures.ts';
