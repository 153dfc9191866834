import { hostCallCheck } from '../auth/host-calls.ts';
import type { Exchange } from './exchange.ts';
import { REFUSED_HEADER } from './headers.ts';

/**
 * Lets only routers in at a Wasm host; undefined where everybody is. Nothing has run of what it throws for, and the
 * answer says so: another host may know the key.
 */
export function hostGuard(keys: readonly Uint8Array[]): ((exchange: Exchange) => void) | undefined {
  const check = hostCallCheck(keys);
  if (check === undefined) return undefined;
  return (exchange) => {
    try {
      check(exchange);
    } catch (error) {
      exchange.res.setHeader(REFUSED_HEADER, '1');
      throw error;
    }
  };
}
