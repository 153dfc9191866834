/** `wasi:config/store`: a function has no configuration yet but its environment variables. */
import { ok, type Result } from './result.ts';
import type { GuestState } from './state.ts';

type ConfigError = { readonly tag: 'upstream' | 'io'; readonly val: string };

export function get(state: GuestState, _key: string): Result<string | undefined, ConfigError> {
  state.check();
  return ok();
}

export function getAll(state: GuestState): Result<[string, string][], ConfigError> {
  state.check();
  return ok([]);
}
