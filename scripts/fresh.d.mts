/** What the build read: a list of `[path below the root, size, mtime in ms]`, in `dist/`. */
export const INPUTS: string;
/** Whether `dist/` was built from the sources as they are now; false also where nothing was built yet. */
export function isFresh(root: string): boolean;
