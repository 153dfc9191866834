/** The built guests of test/guests, by name. */
import { join } from 'node:path';

/** Path of `test/guests/built/<name>.wasm`. */
export function guest(name: string): string {
  return join(import.meta.dirname, '../../guests/built', `${name}.wasm`);
}
