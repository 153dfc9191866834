/** The package of a function. */
import type { FissionFunction } from '../api/index.ts';
import { RESOURCES, type Cluster } from './cluster.ts';
import { isOwnPackage } from './package-source.ts';

/** The name of the package that a function takes its code from, in either form of the spec. */
export function packageOf({ spec }: FissionFunction): string | undefined {
  return spec.package?.packageref?.name ?? spec.package?.functionref?.name;
}

/** Removes the package that `function create` made for this function, unless it is `kept` or another uses it. */
export async function removeOwnPackage(cluster: Cluster, fn: FissionFunction, kept?: string): Promise<void> {
  const name = packageOf(fn);
  if (name === undefined || name === kept || !isOwnPackage(name, fn.metadata.name)) return;
  const functions = await cluster.list<FissionFunction>(RESOURCES.functions);
  const others = functions.filter(
    (other) => other.metadata.name !== fn.metadata.name && packageOf(other) === name,
  );
  if (others.length === 0) await cluster.remove(RESOURCES.packages, name);
}
