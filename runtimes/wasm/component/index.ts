export { compileTrampolines } from './abi/trampoline.ts';
export { LinkDeclined } from './declined.ts';
export { linkComponent } from './linker.ts';
export { findEntry, moduleName, PLAN_FILE, type LinkPlan } from './plan.ts';
export { DecodeError } from './reader.ts';
