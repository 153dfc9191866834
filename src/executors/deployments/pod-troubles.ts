/** Why a pod does not serve, read from its status, in words that a person can act on. */
import type { KubeObject } from '../../kube/index.ts';

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly terminated?: {
    readonly reason?: string;
    readonly message?: string;
    readonly exitCode?: number;
  };
}

interface ContainerStatus {
  readonly name: string;
  readonly image?: string;
  readonly restartCount?: number;
  readonly ready?: boolean;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
}

/** What of a pod is looked at. */
export type Pod = KubeObject & {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
};

export interface Trouble {
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
}

const IMAGE_REASONS = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'RegistryUnavailable',
  'ImageInspectError',
]);
/** Of a container's last words. */
const LAST_LINES = 3;

/** The trouble that keeps the pod from serving; undefined where it serves or is only starting. */
export function troubleOf(pod: Pod): Trouble | undefined {
  const { status } = pod;
  if (status === undefined || isReady(pod)) return undefined;
  const scheduled = status.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    return {
      reason: 'Unschedulable',
      message: `No node takes its pod: ${scheduled.message ?? 'the scheduler gives no reason'}`,
    };
  }
  if (status.phase === 'Failed' && status.containerStatuses === undefined) {
    return {
      reason: 'PodFailed',
      message: `Its pod failed: ${status.message ?? status.reason ?? 'no reason is given'}`,
    };
  }
  for (const container of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) {
    const trouble = container.ready === true ? undefined : troubleOfContainer(container);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function troubleOfContainer(container: ContainerStatus): Trouble | undefined {
  const { name, image = '', state = {}, lastState = {}, restartCount = 0 } = container;
  const { reason = '', message = '' } = state.waiting ?? {};
  if (IMAGE_REASONS.has(reason)) {
    return {
      reason: 'ImagePullFailed',
      message: `The image ${image} of container ${name} cannot be had (${reason}): ${message || 'the kubelet gives no reason'}`,
    };
  }
  if (reason === 'CreateContainerConfigError') {
    return {
      reason: 'ContainerNotCreated',
      message: `Container ${name} cannot be made: ${message || reason}. Is a secret, a config map or one of its keys missing?`,
    };
  }
  if (reason === 'CreateContainerError' || reason === 'RunContainerError') {
    return {
      reason: 'ContainerNotStarted',
      message: `Container ${name} cannot be started: ${message || reason}`,
    };
  }
  const ended =
    state.terminated ??
    (reason === 'CrashLoopBackOff' || restartCount > 0 ? lastState.terminated : undefined);
  if (ended === undefined) return undefined;
  const words = lastWords(ended.message);
  if (ended.reason === 'OOMKilled') {
    return {
      reason: 'OutOfMemory',
      message: `Container ${name} used more memory than its limit and was ended. Raise spec.resources.limits.memory.${words}`,
    };
  }
  const times = restartCount === 0 ? '' : ` (started again ${restartCount} times)`;
  return {
    reason: name === 'fetcher' ? 'SpecializationFailed' : 'CrashLooping',
    message: `Container ${name} ended with exit code ${ended.exitCode ?? '?'}${times}.${words}`,
  };
}

/** The kubelet puts the end of a failed container's log into its status. */
function lastWords(message = ''): string {
  const lines = message
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return lines.length === 0 ? '' : ` Its last words: ${lines.slice(-LAST_LINES).join(' | ')}`;
}
