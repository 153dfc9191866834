export { LINKED_INTERFACES } from './interfaces.ts';
export { validateLimits } from './limits.ts';
export { Preparer, type PreparedPackage, type PreparerOptions } from './preparer.ts';
export { MAX_PACKAGE_BYTES } from './sniff.ts';
export { PREPARE_VERSION } from './version.ts';
