import type { Report } from './checks.ts';
import { joinPath } from './defaults.ts';
import { QUANTITY_WORDS, parseBytes, parseQuantity } from './quantity.ts';
import type { ResolvedResources } from './resolved.ts';
import type { Resources } from './schema.ts';

/** A memory limit where none is set: 128 MiB. */
const DEFAULT_MEMORY_BYTES = 128 * 1024 * 1024;

export function checkResources(path: string, resources: Resources | undefined, report: Report): void {
  const lists = { limits: resources?.limits ?? {}, requests: resources?.requests ?? {} };
  for (const [list, quantities] of Object.entries(lists)) {
    for (const [name, quantity] of Object.entries(quantities)) {
      const at = joinPath(`${path}.${list}`, name);
      const value = parseQuantity(quantity);
      if (value === null) report(at, `must be ${QUANTITY_WORDS}, but is "${quantity}"`);
      else if (value < 0) report(at, `must not be negative, but is "${quantity}"`);
    }
  }
  const memory = resources?.limits?.['memory'];
  if (memory !== undefined && parseBytes(memory) === 0) report(`${path}.limits.memory`, 'must be over 0');
}

/** `limits.memory`, with its default. */
export function memoryLimitBytes(resources: Resources | undefined): number {
  const memory = resources?.limits?.['memory'];
  return (memory === undefined ? null : parseBytes(memory)) ?? DEFAULT_MEMORY_BYTES;
}

/** As a pod's container takes them; nothing where nothing is set. */
export function resolveResources(resources: Resources | undefined): ResolvedResources {
  const { limits = {}, requests = {}, claims = [] } = resources ?? {};
  return { limits: { ...limits }, requests: { ...requests }, claims: [...claims] };
}
