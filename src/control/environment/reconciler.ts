import type { Environment } from '../../api/index.ts';
import { FissiumError } from '../../errors.ts';
import { requireRuntime } from '../../executors/process/index.ts';
import { RESOURCES } from '../../kube/index.ts';
import { announce } from '../announce.ts';
import { type Verdict, withConditions } from '../conditions.ts';
import type { ReconcilerContext } from '../context.ts';
import { environmentOf } from '../resolutions.ts';

type EnvironmentStatus = NonNullable<Environment['status']>;

/**
 * What an environment's `Ready` condition is to say.
 * @param runsProcesses whether the platform runs functions of images that it knows as local processes
 */
export function judgeEnvironment(environment: Environment, runsProcesses: boolean): Verdict {
  const resolved = environmentOf(environment);
  if (!resolved.ok) return { ready: false, reason: 'Invalid', message: resolved.error.message };
  if (resolved.value.wasm) {
    return { ready: true, reason: 'Wasm', message: 'Functions of this environment run as WebAssembly.' };
  }
  if (runsProcesses) return judgeImage(resolved.value.image);
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
  readonly #runsProcesses: boolean;

  constructor(context: ReconcilerContext, runsProcesses: boolean) {
    this.#context = context;
    this.#runsProcesses = runsProcesses;
  }

  async reconcile(key: string): Promise<void> {
    const { statuses, events, watched, now } = this.#context;
    const environment = watched.environments.getByKey(key);
    if (environment === undefined || environment.metadata.deletionTimestamp !== undefined) return;
    const resolved = environmentOf(environment);
    const change = await statuses.write<EnvironmentStatus>(RESOURCES.environments, environment, (before) =>
      withConditions(before, {
        generation: environment.metadata.generation ?? 0,
        verdict: judgeEnvironment(environment, this.#runsProcesses),
        notServed: resolved.ok ? resolved.value.notServed : [],
        now: now(),
      }),
    );
    announce(events, RESOURCES.environments, environment, change);
  }
}
