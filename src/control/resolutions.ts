/** Resolved forms of the objects in the caches, each computed once. */
import {
  type Environment,
  type FissionFunction,
  type HttpTrigger,
  resolveEnvironment,
  resolveFunction,
  resolveTrigger,
  type ResolvedEnvironment,
  type ResolvedFunction,
  type ResolvedTrigger,
} from '../api/index.ts';
import { FissiumError, toErrorData } from '../errors.ts';

/** What an object says, or why it cannot be read. */
export type Resolution<R> =
  | { readonly ok: true; readonly value: R }
  | { readonly ok: false; readonly error: FissiumError };

export function attempt<R>(resolve: () => R): Resolution<R> {
  try {
    return { ok: true, value: resolve() };
  } catch (thrown) {
    const error =
      thrown instanceof FissiumError
        ? thrown
        : new FissiumError('INTERNAL', toErrorData(thrown).message, { cause: thrown });
    return { ok: false, error };
  }
}

/** Objects of a cache are never changed in place, so what was resolved for one holds as long as it lives. */
function memoised<T extends object, R>(resolve: (object: T) => R): (object: T) => Resolution<R> {
  const known = new WeakMap<T, Resolution<R>>();
  return (object) => {
    let resolution = known.get(object);
    if (resolution === undefined) {
      resolution = attempt(() => resolve(object));
      known.set(object, resolution);
    }
    return resolution;
  };
}

export const environmentOf: (object: Environment) => Resolution<ResolvedEnvironment> =
  memoised(resolveEnvironment);
export const functionOf: (object: FissionFunction) => Resolution<ResolvedFunction> =
  memoised(resolveFunction);
export const triggerOf: (object: HttpTrigger) => Resolution<ResolvedTrigger> = memoised(resolveTrigger);
