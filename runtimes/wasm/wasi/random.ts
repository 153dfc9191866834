/** `wasi:random`. All of it is the operating system's randomness; what is called insecure is merely as good. */
import { getRandomValues } from 'node:crypto';
import { RANDOM_BYTES_CAP } from './limits.ts';
import type { GuestState } from './state.ts';

/** getRandomValues refuses more at once. */
const CHUNK_BYTES = 65_536;

export function randomBytes(state: GuestState, length: bigint): Uint8Array {
  state.check();
  if (length > BigInt(RANDOM_BYTES_CAP)) {
    state.trap(`the function asked for ${length} random bytes at once; ${RANDOM_BYTES_CAP} are allowed`);
  }
  const bytes = new Uint8Array(Number(length));
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    getRandomValues(bytes.subarray(start, start + CHUNK_BYTES));
  }
  return bytes;
}

export function randomU64(state: GuestState): bigint {
  state.check();
  const [value = 0n] = getRandomValues(new BigUint64Array(1));
  return value;
}

export function insecureSeed(state: GuestState): [bigint, bigint] {
  return [randomU64(state), randomU64(state)];
}
