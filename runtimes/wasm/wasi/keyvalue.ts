/** `wasi:keyvalue`: a function may link against it; there is no store to open. */
import { err, type Result } from './result.ts';
import type { GuestState } from './state.ts';

type StoreError = { readonly tag: 'no-such-store' };

const NO_SUCH_STORE: StoreError = { tag: 'no-such-store' };

export function open(state: GuestState, _identifier: string): Result<Bucket, StoreError> {
  state.check();
  return err(NO_SUCH_STORE);
}

/** What takes a bucket, which no guest can have: `increment`, `get-many` and the like. */
export function refuse(state: GuestState): Result<never, StoreError> {
  state.check();
  return err(NO_SUCH_STORE);
}

/** Linked against, never made. */
export class Bucket {}

/** Linked against, never made. */
export class Cas {}

/** `swap`'s error is another one. */
export function swap(state: GuestState): Result<never, { tag: 'store-error'; val: StoreError }> {
  state.check();
  return err({ tag: 'store-error', val: NO_SUCH_STORE });
}
