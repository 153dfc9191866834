import type { Archive, ResolvedEnvironment } from '../../api/index.ts';
import type { BuildRequest } from '../../builders/index.ts';
import { FissiumError } from '../../errors.ts';
import type { Resolution } from '../resolutions.ts';
import type { BuildState } from './build-state.ts';
import type { PackageView } from './slim.ts';

/** What is to be done about a package. */
export type PackagePlan =
  /** Its source comes first; then it comes again with another deployment. */
  | { readonly kind: 'build'; readonly environment: BuildRequest['environment'] }
  | { readonly kind: 'prepare'; readonly archive: Archive }
  /** A container environment's: kept as Fission leaves it. */
  | { readonly kind: 'store'; readonly archive: Archive | null; readonly buildStatus: 'none' | 'succeeded' }
  /** Goes on by itself once the environment is there. */
  | { readonly kind: 'wait'; readonly error: FissiumError; readonly reason: string }
  | { readonly kind: 'fail'; readonly error: FissiumError; readonly reason: string };

/**
 * @param environment the one that the package names, or undefined where there is none
 * @param buildState what is to be done about the source
 */
export function planPackage(
  view: Resolution<PackageView>,
  environment: Resolution<ResolvedEnvironment> | undefined,
  buildState: BuildState,
): PackagePlan {
  if (!view.ok) return { kind: 'fail', reason: 'Invalid', error: view.error };
  const { source, deployment, environment: named } = view.value;
  if (environment === undefined) {
    return {
      kind: 'wait',
      reason: 'EnvironmentNotFound',
      error: new FissiumError(
        'FUNCTION_NOT_READY',
        `There is no Environment ${named.namespace}/${named.name}. Create it, for example with \`fissium environment create --name ${named.name} --image wasm\`.`,
      ),
    };
  }
  if (!environment.ok) return { kind: 'wait', reason: 'EnvironmentInvalid', error: environment.error };
  if (buildState === 'needed') return planBuild(environment.value);
  if (!environment.value.wasm) {
    return { kind: 'store', archive: deployment, buildStatus: source === null ? 'none' : 'succeeded' };
  }
  if (deployment === null) {
    return {
      kind: 'fail',
      reason: 'NoArchive',
      error: new FissiumError(
        'PACKAGE_REFUSED',
        'The package has no archive: give one in spec.deployment (`--code`).',
      ),
    };
  }
  return { kind: 'prepare', archive: deployment };
}

function planBuild(environment: ResolvedEnvironment): PackagePlan {
  const { builder, name } = environment;
  if (builder !== null) return { kind: 'build', environment: { ...environment, builder } };
  return {
    kind: 'wait',
    reason: 'NoBuilder',
    error: new FissiumError(
      'BUILD_FAILED',
      `The package has a source to build, but Environment ${name} has no builder. Give it one, for example with \`fissium environment update --name ${name} --builder ${environment.wasm ? 'wasm' : 'IMAGE'}\`, or give the built code (\`--deployarchive\`).`,
    ),
  };
}
