/** What decides how a function runs on a cluster, or why it does not. */
import type { FissionFunction } from '../../api/index.ts';
import type { FunctionOnCluster } from '../../executors/strategy.ts';
import type { ReconcilerContext } from '../context.ts';
import type { Verdict } from '../conditions.ts';
import { grantSourcesFor } from '../function/grant-sources.ts';
import { resolveGrants } from '../function/grants.ts';
import { lookUp } from '../look-up.ts';
import type { PackageStates } from '../package/package-states.ts';
import { environmentOf, functionOf } from '../resolutions.ts';

/** How functions are run; each by one strategy object. */
export type StrategyKey = 'wasm-hosts' | 'poolmgr' | 'newdeploy' | 'container';

export interface Placement {
  readonly fn: FunctionOnCluster;
  readonly strategy: StrategyKey;
}

export type Facts =
  | ({ readonly ok: true } & Placement)
  | {
      readonly ok: false;
      readonly verdict: Verdict;
      /** Nothing of the function may run, whatever ran before. */
      readonly final: boolean;
      /** Where what was deployed before its package's new source goes on. */
      readonly earlier?: Placement;
    };

/** Reads what a function names, from the caches and, where these are behind, from the API. */
export async function factsOf(
  context: ReconcilerContext,
  states: PackageStates,
  object: FissionFunction,
): Promise<Facts> {
  const { client, watched } = context;
  const resolution = functionOf(object);
  if (!resolution.ok) return refuse('Invalid', resolution.error.message, true);
  const resolved = resolution.value;
  const grants = resolveGrants(resolved, await grantSourcesFor(context, resolved));
  if (!grants.ok) return refuse(grants.reason, grants.message);
  if (resolved.strategy === 'container') {
    return { ok: true, strategy: 'container', fn: { object, resolved, environment: null, pkg: null } };
  }
  const named = `${resolved.environment.namespace}/${resolved.environment.name}`;
  const environment = await lookUp(client, watched.environments, resolved.environment);
  if (environment === undefined) {
    return refuse(
      'EnvironmentNotFound',
      `There is no Environment ${named}. Create it, for example with \`fissium environment create --name ${resolved.environment.name} --image wasm\`.`,
    );
  }
  const runs = environmentOf(environment);
  if (!runs.ok) return refuse('EnvironmentInvalid', runs.error.message);
  if (resolved.package === null) {
    return refuse(
      'PackageMissing',
      'The function names no package. Give it code, for example with `fissium function update --code`.',
    );
  }
  const packageName = `${resolved.package.namespace}/${resolved.package.name}`;
  if (resolved.package.namespace !== resolved.namespace) {
    return refuse(
      'PackageElsewhere',
      `Package ${packageName} is in another namespace than the function: its pods may not read it. Put it into ${resolved.namespace}.`,
    );
  }
  const pkg = await lookUp(client, watched.packages, resolved.package);
  if (pkg === undefined) return refuse('PackageNotFound', `There is no Package ${packageName}.`);
  const state = states.of(pkg);
  const placement: Placement = {
    strategy: resolved.strategy === 'newdeploy' ? 'newdeploy' : runs.value.wasm ? 'wasm-hosts' : 'poolmgr',
    fn: { object, resolved, environment: { object: environment, resolved: runs.value }, pkg },
  };
  switch (state.phase) {
    case 'pending':
    case 'failed':
      return {
        ok: false,
        final: false,
        ...(state.earlier === undefined ? {} : { earlier: placement }),
        verdict:
          state.phase === 'failed'
            ? {
                ready: false,
                reason: 'PackageFailed',
                message: `Package ${packageName}: ${state.error.message}`,
              }
            : {
                ready: false,
                passing: true,
                reason: 'PackagePending',
                message: `Package ${packageName} is being prepared.`,
              },
      };
    case 'stored':
      if (runs.value.wasm)
        return refuse(
          'PackageNotWasm',
          `Package ${packageName} belongs to a container environment. Use one of environment ${named}.`,
        );
      if (state.fetch === null)
        return refuse('PackageEmpty', `Package ${packageName} has no archive: give it code.`);
      break;
    case 'ready':
      if (!runs.value.wasm)
        return refuse(
          'PackageIsWasm',
          `Package ${packageName} belongs to a Wasm environment. Use one of environment ${named}.`,
        );
      break;
  }
  return { ok: true, ...placement };
}

function refuse(reason: string, message: string, final = false): Facts {
  return { ok: false, final, verdict: { ready: false, reason, message } };
}
