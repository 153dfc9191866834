/** What a spec may say that is served in pods of a cluster, and in one process is kept without effect. */
import { EXPOSURE_FIELDS } from './exposure.ts';
import type { ResolvedEnvironment, ResolvedFunction, ResolvedTrigger } from './resolved.ts';

/** What runs functions: this process and its children, or pods of a cluster. */
export type Platform = 'one-process' | 'cluster';

const STRATEGY = 'spec.InvokeStrategy.ExecutionStrategy';

/** WebSockets, to container functions alone. */
const UPGRADES = 'spec.streaming.protocol';

const SCALE: readonly string[] = [
  `${STRATEGY}.ExecutorType`,
  `${STRATEGY}.MinScale`,
  `${STRATEGY}.MaxScale`,
  `${STRATEGY}.TargetCPUPercent`,
  `${STRATEGY}.hpaMetrics`,
  `${STRATEGY}.hpaBehavior`,
];
const RESOURCES: readonly string[] = ['spec.resources'];
/** What a Wasm function weighs in its threads: the first of them that is set. */
const CPU_WEIGHT: readonly string[] = ['spec.resources.requests.cpu', 'spec.resources.limits.cpu'];

const ENVIRONMENT_OF_CONTAINERS: readonly string[] = [
  'spec.runtime.image',
  'spec.runtime.container',
  'spec.runtime.podspec',
  'spec.builder.podspec',
  'spec.resources',
  'spec.imagepullsecret',
];
/** Hosts run the platform's own image, which is pulled as the platform is. */
const ENVIRONMENT_OF_WASM: readonly string[] = ENVIRONMENT_OF_CONTAINERS.filter(
  (field) => field !== 'spec.imagepullsecret',
);

/** What a cluster serves for some function, environment or trigger at least, by kind. */
export const SERVED_ON_CLUSTER: Readonly<
  Record<'Environment' | 'Function' | 'HTTPTrigger', readonly string[]>
> = {
  Environment: ENVIRONMENT_OF_CONTAINERS,
  Function: [...servedOfFunction('poolmgr', false), ...servedOfFunction('container', false)],
  HTTPTrigger: EXPOSURE_FIELDS,
};

/** The fields of a function that are set and have no effect. @param isWasm whether its environment is one of Wasm */
export function functionFieldsNotServed(
  { notServed, strategy }: Pick<ResolvedFunction, 'notServed' | 'strategy'>,
  platform: Platform,
  isWasm: boolean,
): readonly string[] {
  const weight = CPU_WEIGHT.find((field) => notServed.includes(field));
  const ofWasm = weight === undefined ? [] : [weight];
  const anywhere = isWasm ? ofWasm : [UPGRADES];
  const here = platform === 'one-process' ? [] : servedOfFunction(strategy, isWasm);
  return without(notServed, [...anywhere, ...here]);
}

function servedOfFunction(strategy: ResolvedFunction['strategy'], isWasm: boolean): readonly string[] {
  switch (strategy) {
    case 'poolmgr':
      return isWasm ? [] : [...RESOURCES, 'spec.retainPods'];
    case 'newdeploy':
      return [...SCALE, ...(isWasm ? ['spec.resources.requests'] : RESOURCES)];
    case 'container':
      return [...SCALE, ...RESOURCES, 'spec.podspec'];
  }
}

/** The fields of an environment that are set and have no effect. */
export function environmentFieldsNotServed(
  { notServed, wasm }: Pick<ResolvedEnvironment, 'notServed' | 'wasm'>,
  platform: Platform,
): readonly string[] {
  if (platform === 'one-process') return notServed;
  return without(notServed, wasm ? ENVIRONMENT_OF_WASM : ENVIRONMENT_OF_CONTAINERS);
}

/** The fields of a trigger that are set and have no effect. */
export function triggerFieldsNotServed(
  { notServed }: Pick<ResolvedTrigger, 'notServed'>,
  platform: Platform,
): readonly string[] {
  return platform === 'one-process' ? notServed : without(notServed, EXPOSURE_FIELDS);
}

/** A field that is served is so with all that is below it. */
function without(fields: readonly string[], served: readonly string[]): string[] {
  return fields.filter((field) => !served.some((path) => field === path || field.startsWith(`${path}.`)));
}
