import type { FissionFunction } from '../../api/index.ts';
import { functionOf } from '../resolutions.ts';
import { referencedKeys, type Watched } from '../watched.ts';

/** What decides which secrets and config maps the pods of a namespace may read. */
export function namedByFunctions(watched: Watched): {
  functionsOf(namespace: string): FissionFunction[];
  named(fn: FissionFunction, kind: 'secret' | 'configMap'): string[];
} {
  return {
    functionsOf: (namespace) =>
      watched.functions
        .keys()
        .filter((key) => key.startsWith(`${namespace}/`))
        .map((key) => watched.functions.getByKey(key))
        .filter((fn) => fn !== undefined),
    named: (fn, kind) => {
      const resolved = functionOf(fn);
      return resolved.ok ? referencedKeys(resolved.value, kind) : [];
    },
  };
}
