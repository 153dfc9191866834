import type { Package, ResolvedEnvironment, ResolvedFunction } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import { requireRuntime } from '../../executors/process/index.ts';
import { attempt, type Resolution } from '../resolutions.ts';
import type { Verdict } from '../conditions.ts';
import { isFinal } from '../package/failures.ts';
import type { EarlierPackage, PackageState, ReadyPackage, StoredPackage } from '../package/package-states.ts';
import type { DeploySpec } from '../ports.ts';
import { type GrantSources, resolveGrants } from './grants.ts';

/** Everything that decides what becomes of a function. */
export interface FunctionFacts {
  readonly resolved: Resolution<ResolvedFunction>;
  /** Undefined where there is none of that name. */
  readonly environment: Resolution<ResolvedEnvironment> | undefined;
  readonly pkg: Package | undefined;
  /** What became of exactly this generation of the package. */
  readonly packageState: PackageState;
  readonly sources: GrantSources;
  /** Whether functions of images that the platform knows run as local processes. */
  readonly runsProcesses: boolean;
}

export type FunctionPlan =
  | {
      readonly kind: 'deploy';
      readonly resolved: ResolvedFunction;
      readonly pkg: Pick<ReadyPackage, 'select'>;
      readonly grants: DeploySpec['grants'];
    }
  /** Of a container environment: runs as a local process. */
  | {
      readonly kind: 'run';
      readonly resolved: ResolvedFunction;
      readonly environment: ResolvedEnvironment;
      readonly fetch: NonNullable<StoredPackage['fetch']>;
      readonly grants: DeploySpec['grants'];
    }
  /** Goes on by itself in a moment. */
  | { readonly kind: 'prepare'; readonly verdict: Verdict; readonly instead?: Instead }
  /** Not served; an earlier version that is served goes on unless `evenIfServed`. */
  | {
      readonly kind: 'refuse';
      readonly verdict: Verdict;
      readonly error: FissiumError;
      readonly evenIfServed?: boolean;
      readonly instead?: Instead;
    };

/** What is to be served where no version is served yet: what was deployed before the source changed. */
export type Instead = Extract<FunctionPlan, { kind: 'deploy' | 'run' }>;

export function planFunction(facts: FunctionFacts): FunctionPlan {
  const { resolved, environment, pkg, packageState, sources, runsProcesses } = facts;
  if (!resolved.ok) return refuse('Invalid', resolved.error);
  const fn = resolved.value;
  if (fn.strategy === 'container') {
    return notServed(`Function ${fn.namespace}/${fn.name} runs a container (executor type container)`);
  }
  const environmentName = `${fn.environment.namespace}/${fn.environment.name}`;
  if (environment === undefined) {
    return notReady(
      'EnvironmentNotFound',
      `There is no Environment ${environmentName}. Create it, for example with \`fissium environment create --name ${fn.environment.name} --image wasm\`.`,
    );
  }
  if (!environment.ok) return refuse('EnvironmentInvalid', environment.error);
  if (!environment.value.wasm && runsProcesses) {
    const { image } = environment.value;
    const runtime = attempt(() => requireRuntime(image));
    if (!runtime.ok) return { ...refuse('EnvironmentNotServed', runtime.error), evenIfServed: true };
  }
  if (!environment.value.wasm && !runsProcesses) {
    return notServed(
      `Environment ${environmentName} of function ${fn.namespace}/${fn.name} is a container environment (image ${environment.value.image})`,
    );
  }
  if (fn.package === null) {
    return notReady(
      'PackageMissing',
      'The function names no package. Give it code, for example with `fissium function update --code`.',
    );
  }
  const packageName = `${fn.package.namespace}/${fn.package.name}`;
  if (pkg === undefined) return notReady('PackageNotFound', `There is no Package ${packageName}.`);

  switch (packageState.phase) {
    case 'pending':
      return {
        kind: 'prepare',
        verdict: {
          ready: false,
          passing: true,
          reason: 'PackagePending',
          message: `Package ${packageName} is being prepared.`,
        },
        ...insteadOf(packageState.earlier, fn, environment.value, sources),
      };
    case 'stored': {
      if (!environment.value.wasm) {
        const { fetch } = packageState;
        if (fetch === null)
          return notReady('PackageEmpty', `Package ${packageName} has no archive: give it code.`);
        const result = resolveGrants(fn, sources);
        if (!result.ok) return notReady(result.reason, result.message);
        return { kind: 'run', resolved: fn, environment: environment.value, fetch, grants: result.grants };
      }
      return notReady(
        'PackageNotWasm',
        `Package ${packageName} belongs to a container environment. Use one of environment ${environmentName}.`,
      );
    }
    case 'failed': {
      const message = `Package ${packageName}: ${packageState.error.message}`;
      const refusal = isFinal(packageState.error)
        ? refuse('PackageFailed', new FissiumError('FUNCTION_FAILED', message, { cause: packageState.error }))
        : notReady('PackageFailed', message);
      return { ...refusal, ...insteadOf(packageState.earlier, fn, environment.value, sources) };
    }
    case 'ready': {
      if (!environment.value.wasm) {
        return notReady(
          'PackageIsWasm',
          `Package ${packageName} belongs to a Wasm environment. Use one of environment ${environmentName}.`,
        );
      }
      const result = resolveGrants(fn, sources);
      if (!result.ok) return notReady(result.reason, result.message);
      return { kind: 'deploy', resolved: fn, pkg: packageState, grants: result.grants };
    }
  }
}

function insteadOf(
  earlier: EarlierPackage | undefined,
  resolved: ResolvedFunction,
  environment: ResolvedEnvironment,
  sources: GrantSources,
): { readonly instead?: Instead } {
  if (earlier === undefined) return {};
  const result = resolveGrants(resolved, sources);
  if (!result.ok) return {};
  const { grants } = result;
  if ('wasm' in earlier)
    return environment.wasm ? { instead: { kind: 'deploy', resolved, pkg: earlier.wasm, grants } } : {};
  return environment.wasm
    ? {}
    : { instead: { kind: 'run', resolved, environment, ...earlier.stored, grants } };
}

function refuse(reason: string, error: FissiumError): Extract<FunctionPlan, { kind: 'refuse' }> {
  return { kind: 'refuse', verdict: { ready: false, reason, message: error.message }, error };
}

function notReady(reason: string, message: string): Extract<FunctionPlan, { kind: 'refuse' }> {
  return refuse(reason, new FissiumError('FUNCTION_NOT_READY', message));
}

function notServed(what: string): FunctionPlan {
  const message = `${what}, which this version keeps but does not serve: container environments come with a later release. Calls answer 501.`;
  return {
    kind: 'refuse',
    evenIfServed: true,
    verdict: { ready: false, reason: 'EnvironmentNotServed', message },
    error: new FissiumError('ENVIRONMENT_NOT_SERVED', message),
  };
}
