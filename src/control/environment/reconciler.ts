import { type Environment, environmentFieldsNotServed } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import { requireRuntime } from '../../executors/process/index.ts';
import { RESOURCES } from '../../kube/index.ts';
import { announce } from '../announce.ts';
import { type Verdict, withConditions } from '../conditions.ts';
import type { ReconcilerContext } from '../context.ts';
import { environmentOf } from '../resolutions.ts';

type EnvironmentStatus = NonNullable<Environment['status']>;

/** `processes`: images that the platform knows, as local processes; `none`: they are kept and answer 501. */
export type ContainersRunAs = 'pods' | 'processes' | 'none';

/**
 * What an environment's `Ready` condition is to say.
 * @param runs how functions of container environments run
 */
export function judgeEnvironment(environment: Environment, runs: ContainersRunAs): Verdict {
  const resolved = environmentOf(environment);
  if (!resolved.ok) return { ready: false, reason: 'Invalid', message: resolved.error.message };
  if (resolved.value.wasm) {
    return { ready: true, reason: 'Wasm', message: 'Functions of this environment run as WebAssembly.' };
  }
  if (runs === 'processes') return judgeImage(resolved.value.image);
  if (runs === 'pods') {
    const message = `Functions of this environment run in pods of image ${resolved.value.image}.`;
    return { ready: true, reason: 'Pods', message };
  }
  return {
    ready: false,
    reason: 'NotServedYet',
    message: `Container environments come with a later release: functions of image ${resolved.value.image} are kept and answer 501. Use the image "wasm" for WebAssembly.`,
  };
}

function judgeImage(image: string): Verdict {
  try {
    const runtime = requireRuntime(image);
    const message = `Functions of this environment run as local processes (${runtime}); the image itself is not used.`;
    return { ready: true, reason: 'LocalProcess', message };
  } catch (error) {
    if (!(error instanceof FissiumError)) throw error;
    return { ready: false, reason: 'ImageNotServed', message: error.message };
  }
}

export class EnvironmentReconciler {
  readonly #context: ReconcilerContext;
  readonly #runs: ContainersRunAs;

  constructor(context: ReconcilerContext, runs: ContainersRunAs) {
    this.#context = context;
    this.#runs = runs;
  }

  async reconcile(key: string): Promise<void> {
    const { statuses, events, watched, now, platform } = this.#context;
    const environment = watched.environments.getByKey(key);
    if (environment === undefined || environment.metadata.deletionTimestamp !== undefined) return;
    const resolved = environmentOf(environment);
    const change = await statuses.write<EnvironmentStatus>(RESOURCES.environments, environment, (before) =>
      withConditions(before, {
        generation: environment.metadata.generation ?? 0,
        verdict: judgeEnvironment(environment, this.#runs),
        notServed: resolved.ok ? environmentFieldsNotServed(resolved.value, platform) : [],
        now: now(),
      }),
    );
    announce(events, RESOURCES.environments, environment, change);
  }
}
