import type { Report } from './checks.ts';
import { joinPath } from './defaults.ts';
import { CPU_WORDS, QUANTITY_WORDS, parseBytes, parseQuantity } from './quantity.ts';
import type { ResolvedResources } from './resolved.ts';
import type { Resources } from './schema.ts';

/** A memory limit where none is set: 128 MiB. */
const DEFAULT_MEMORY_BYTES = 128 * 1024 * 1024;
/** Cores, of a function that names none. */
const USUAL_CPU = 0.1;
/** Beside the largest of weights the smallest still has a millisecond in each second. */
const LEAST_CPU = 0.01;
const MOST_CPU = 10;

export function checkResources(path: string, resources: Resources | undefined, report: Report): void {
  const lists = { limits: resources?.limits ?? {}, requests: resources?.requests ?? {} };
  for (const [list, quantities] of Object.entries(lists)) {
    for (const [name, quantity] of Object.entries(quantities)) {
      const at = joinPath(`${path}.${list}`, name);
      const value = parseQuantity(quantity);
      const words = name === 'cpu' ? CPU_WORDS : QUANTITY_WORDS;
      if (value === null) report(at, `must be ${words}, but is "${quantity}"`);
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

/**
 * What a Wasm function's guests weigh beside others that compute for long: `requests.cpu`, or `limits.cpu` where only
 * that is set, as Kubernetes reads them; in cores, 0.1 where neither is, counted as 0.01 at least and 10 at most.
 */
export function cpuWeight(resources: Resources | undefined): number {
  const cpu = resources?.requests?.['cpu'] ?? resources?.limits?.['cpu'];
  const cores = (cpu === undefined ? null : parseQuantity(cpu)) ?? USUAL_CPU;
  return Math.min(Math.max(cores, LEAST_CPU), MOST_CPU);
}

/** As a pod's container takes them; nothing where nothing is set. */
export function resolveResources(resources: Resources | undefined): ResolvedResources {
  const { limits = {}, requests = {}, claims = [] } = resources ?? {};
  return { limits: { ...limits }, requests: { ...requests }, claims: [...claims] };
}
