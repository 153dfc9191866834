import { type FissionFunction, functionFieldsNotServed } from '../../api/index.ts';
import { keyOf, RESOURCES } from '../../kube/index.ts';
import { announce } from '../announce.ts';
import { type Verdict, withConditions } from '../conditions.ts';
import type { ReconcilerContext } from '../context.ts';
import type { Patience } from '../patience.ts';
import { environmentOf, functionOf } from '../resolutions.ts';
import { findCondition } from '../status.ts';
import type { RouteCondition } from './owned-routes.ts';

type FunctionStatus = NonNullable<FissionFunction['status']>;

/** Says in a function's conditions, and in an event where they changed, what became of it. */
export async function writeFunctionStatus(
  { context, patience }: { readonly context: ReconcilerContext; readonly patience: Patience },
  fn: FissionFunction,
  verdict: Verdict,
  route: RouteCondition | null,
): Promise<void> {
  const { statuses, events, now } = context;
  if (verdict.passing !== true) patience.clear(keyOf(fn));
  else if (findCondition(fn.status, 'Ready') === undefined && !patience.isOver(keyOf(fn))) return;
  const change = await statuses.write<FunctionStatus>(RESOURCES.functions, fn, (before) =>
    withConditions(before, {
      generation: fn.metadata.generation ?? 0,
      verdict,
      notServed: fieldsNotServed(context, fn),
      now: now(),
      others: [route ?? { remove: 'Route' }],
    }),
  );
  if (verdict.passing !== true) announce(events, RESOURCES.functions, fn, change);
}

function fieldsNotServed({ watched, platform }: ReconcilerContext, fn: FissionFunction): readonly string[] {
  const resolved = functionOf(fn);
  if (!resolved.ok) return [];
  const { namespace, name } = resolved.value.environment;
  const environment = watched.environments.getByKey(`${namespace}/${name}`);
  const runs = environment === undefined ? undefined : environmentOf(environment);
  return functionFieldsNotServed(resolved.value, platform, runs?.ok === true && runs.value.wasm);
}
