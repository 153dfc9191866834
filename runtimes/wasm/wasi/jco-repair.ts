/**
 * Generated code of jco-transpile 0.15 waits for ever where a host function without a result (`pollable.block`,
 * `poll`) rejects: it then returns the promise of a task that it never settles, so the guest is neither resumed
 * nor ended and keeps its turn. The same code for functions that do not wait throws the error, which is right
 * for these as well.
 */
export function repairGeneratedCode(script: string): string {
  return script.replaceAll(/^(\s*)return task\.completionPromise\(\);$/gm, '$1throw err;');
}
