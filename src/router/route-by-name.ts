import { HTTP_METHODS } from '../api/index.ts';
import { FUNCTION_PREFIX } from './function-path.ts';
import type { FunctionTable } from './function-table.ts';
import type { RouteTable } from './route-table.ts';

/**
 * Keeps a route `/fission-function/NAMESPACE/NAME` for each function in the table: for hosts, which are called by
 * routers that have matched already.
 * @returns what ends it
 */
export function routeByName(functions: FunctionTable, routes: RouteTable): () => void {
  return functions.subscribe({
    set: ({ namespace, name, uid }) => {
      routes.upsert({
        namespace,
        name,
        uid,
        generation: 1,
        creationTimestamp: '',
        notServed: [],
        conditions: [],
        host: '',
        path: `${FUNCTION_PREFIX}${namespace}/${name}`,
        prefix: true,
        keepPrefix: false,
        methods: HTTP_METHODS,
        functions: [{ name, weight: 100 }],
        cors: null,
        exposure: null,
      });
    },
    deleted: (namespace, name) => routes.delete(namespace, name),
  });
}
