/**
 * `wasi:config/store`: the keys of the config maps that the function names in `spec.configmaps`. Where several have
 * a key, the one that is named last counts.
 */
import { ok, type Result } from './result.ts';
import type { GuestState } from './state.ts';

type ConfigError = { readonly tag: 'upstream' | 'io'; readonly val: string };
type ConfigValues = NonNullable<GuestState['grants']['config']>;

/** Made when a guest of the function asks first. */
const stores = new WeakMap<ConfigValues, ReadonlyMap<string, string>>();
const NONE: ReadonlyMap<string, string> = new Map();

function storeOf({ grants: { config } }: GuestState): ReadonlyMap<string, string> {
  if (!config) return NONE;
  let store = stores.get(config);
  if (!store) {
    store = new Map(config);
    stores.set(config, store);
  }
  return store;
}

export function get(state: GuestState, key: string): Result<string | undefined, ConfigError> {
  state.check();
  return ok(storeOf(state).get(key));
}

export function getAll(state: GuestState): Result<[string, string][], ConfigError> {
  state.check();
  return ok([...storeOf(state)]);
}
