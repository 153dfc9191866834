/** Secrets that the platform keeps in namespaces of functions for its own pods there, and no function may name. */

/** By which fetchers know controllers, and fetchers and Wasm hosts ask for archives. */
export const FETCHER_KEYS = 'fissium-fetcher-keys';
/** By which Wasm hosts know routers. */
export const HOST_KEYS = 'fissium-host-keys';
/** By which builders know controllers. */
export const BUILDER_KEYS = 'fissium-builder-keys';

const PLATFORM_SECRETS: ReadonlySet<unknown> = new Set([FETCHER_KEYS, HOST_KEYS, BUILDER_KEYS]);

/**
 * Whoever reads one could call, build and fetch as the platform does.
 * @returns what is wrong with the name of a Secret that somebody wants to read; null where nothing is
 */
export function whyNotReadable(secret: unknown): string | null {
  if (!PLATFORM_SECRETS.has(secret)) return null;
  return `must not be "${String(secret)}": it holds keys of the platform; name a Secret of your own`;
}
