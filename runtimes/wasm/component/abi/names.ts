/** Names of WIT as JavaScript spells them. */

/** `set-status-code` → `setStatusCode`. */
export function camel(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `output-stream` → `OutputStream`. */
export function pascal(name: string): string {
  const text = camel(name);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `wasi:io/streams@0.2.6` → `wasi:io/streams`. */
export function unversioned(name: string): string {
  return name.replace(/@.*$/, '');
}
