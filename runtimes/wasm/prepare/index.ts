export { LINKED_INTERFACES } from './interfaces.ts';
export { validateLimits } from './limits.ts';
export { Preparer, type PreparedPackage, type PreparerOptions } from './preparer.ts';
export { REWRITE_STEPS, type RewriteStep } from './steps.ts';
export { MAX_PACKAGE_BYTES } from './sniff.ts';
export { PREPARE_VERSION } from './version.ts';
